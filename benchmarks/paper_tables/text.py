"""The words around the tables of docs/results.md."""

HEAD = """# Results: the papers' tables on real data

What two papers report, done again with this toolkit on real traffic, beside their figures:

- Qi et al., "Research on Encrypted Traffic Classification and Sparse Traffic Recognition Based on
  Feature Extraction and Deep Learning", 2025, doi 10.62177/apemr.v2i5.632;
- Liang et al., "BiGRU-DA-BERT Encrypted Traffic Classification Technology Based on BERT".

Every figure of ours on this page, those in sentences too, is written by
`python benchmarks/papers.py --render` from the result files in `benchmarks/results`, which also
hold the versions, the machine and the duration of every single run. To make them again:

```bash
export SKTRAFFIC_DATA=/path/to/data                  # its layout: end of docs/datasets/public.md
python benchmarks/papers.py --scale tiny             # minutes: does it run?
python benchmarks/papers.py --scale cpu --jobs 2     # one seed: an hour and a half on two cores
while python benchmarks/papers.py --scale gpu --minutes 9; [ $? = 75 ]; do :; done  # full size
```

More seeds come with `--seeds`; each section says how many it has, and what rests on one seed is a
hint, not a finding. A finished run is never run twice; with `--minutes` a training that is cut
goes on where it was, so that the last line can run in ten-minute pieces. Three habits differ from
the papers' and explain most of what differs in the figures: the test comes **later in time** or
from **other captures** than the training part (the random split stands beside it), **identifiers
are masked** (unmasked stands beside it), and nothing is over-sampled before the split. At scale
cpu the networks are smaller than the papers' and see a part of the data: what they lose to forests
here is not proof of what they would lose at full size."""
