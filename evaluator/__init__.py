"""The evaluator: images × backbones × methods → rows of metrics, in one SQLite file per run.

This package itself imports nothing: touching the light half never imports the heavy one::

    light  (stdlib, sqlite-utils)              heavy  (torch, torchvision)
    errors  text  plan  records  statistics    networks/   trunk + head at the target layer
    catalog  images  crop  interfaces          measuring/  decode, explain, mask, score
    methods/  metrics/   formulas, named as data
    store/      schema, writer, reader, lock
    execution/  driver, schedule, workers
"""
