"""The tables of both papers on real data: experiments and what runs them."""
