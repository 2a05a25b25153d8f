"""The evaluator: images × backbones × methods → one row of metrics each.

In one SQLite file per run.

Two halves. This package itself imports nothing, so that importing the light half never imports the
heavy one::

    light  (stdlib, sqlite-utils)                      heavy  (torch, torchvision) errors  text
    plan  records  statistics            networks/   model = trunk + head at the target layer, made
    fast catalog  images  crop  interfaces                  measuring/  decode, explain, mask,
    score: files → rows methods/  metrics/   formulas, named as data store/      schema, writer,
    reader, lock execution/  driver, schedule, workers
"""
