PRAGMA application_id=1128353108;
PRAGMA user_version=1;
BEGIN TRANSACTION;
CREATE TABLE backbones (
    id INTEGER PRIMARY KEY,           -- position in the plan
    name TEXT NOT NULL UNIQUE,
    loaded TEXT                       -- JSON, records.LoadedBackbone; NULL until a worker has loaded it once
) STRICT;
INSERT INTO "backbones" VALUES(0,'resnet50','{"key": "resnet50", "weights": "fake", "sha256": "a0fcff33653ceb2e7e772c889f9d88babc3f132db114ba828dcd53968048e7c1", "layer": "layer", "channels": 8, "height": 2, "width": 2, "gap_linear": true, "classes": ["tench", "goldfish", "shark"], "mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2]}');
CREATE TABLE cells (
    id INTEGER PRIMARY KEY,
    backbone_id INTEGER NOT NULL REFERENCES backbones (id),
    method TEXT NOT NULL,             -- spec: key and options that differ from the defaults
    identity TEXT,                    -- plan.cell_identity, known once the backbone is loaded
    applicable INTEGER NOT NULL DEFAULT 1,
    note TEXT NOT NULL DEFAULT '',
    UNIQUE (backbone_id, method)
) STRICT;
INSERT INTO "cells" VALUES(1,0,'gradcam','38c84b8eefbf00452a57fe8e86d2de573fced2318eaa9456c5d54913e12a901f',1,'');
INSERT INTO "cells" VALUES(2,0,'scorecam','f75c7f582dcfacd183d0f1ba1f3b651d46f3478b8e240b6d49096cfbf97b69bf',1,'');
CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    time REAL NOT NULL, level TEXT NOT NULL, text TEXT NOT NULL
) STRICT;
INSERT INTO "events" VALUES(1,1.79541743453807902341e+09,'info','loaded resnet50: fake, layer 8×2×2');
INSERT INTO "events" VALUES(2,1.79541743453858613967e+09,'info','the labels of 6 of 6 images are not known');
INSERT INTO "events" VALUES(3,1.79541743453934526443e+09,'info','started: 6 images, 1 backbones × 2 methods = 2 cells');
INSERT INTO "events" VALUES(4,1.79541743454316711425e+09,'info','finished: resnet50 · Grad-CAM');
INSERT INTO "events" VALUES(5,1.79541743454808950426e+09,'info','finished: resnet50 · Grad-CAM · Deletion');
INSERT INTO "events" VALUES(6,1.79541743454863047604e+09,'info','finished: resnet50 · Score-CAM');
INSERT INTO "events" VALUES(7,1.79541743455107641216e+09,'info','finished: resnet50 · Score-CAM · Deletion');
INSERT INTO "events" VALUES(8,1.79541743455305576318e+09,'info','complete');
CREATE TABLE failures (
    cell_id INTEGER NOT NULL REFERENCES cells (id),
    image_id INTEGER NOT NULL REFERENCES images (id),
    metric TEXT NOT NULL,             -- '' for the row itself
    reason TEXT NOT NULL, detail TEXT NOT NULL, time REAL NOT NULL,
    PRIMARY KEY (cell_id, image_id, metric)
) STRICT, WITHOUT ROWID;
INSERT INTO "failures" VALUES(1,0,'','not-an-image','bad',1.79541743454218578335e+09);
INSERT INTO "failures" VALUES(2,0,'','not-an-image','bad',1.79541743454489636424e+09);
CREATE TABLE histograms (             -- 20 equal bins of [0, 1], committed with the rows that they count
    cell_id INTEGER NOT NULL REFERENCES cells (id),
    metric TEXT NOT NULL, bin INTEGER NOT NULL, n INTEGER NOT NULL,
    PRIMARY KEY (cell_id, metric, bin)
) STRICT, WITHOUT ROWID;
INSERT INTO "histograms" VALUES(1,'adcc',3,1);
INSERT INTO "histograms" VALUES(1,'adcc',6,1);
INSERT INTO "histograms" VALUES(1,'adcc',8,1);
INSERT INTO "histograms" VALUES(1,'adcc',11,1);
INSERT INTO "histograms" VALUES(1,'adcc',16,1);
INSERT INTO "histograms" VALUES(1,'average_drop',0,3);
INSERT INTO "histograms" VALUES(1,'average_drop',5,1);
INSERT INTO "histograms" VALUES(1,'average_drop',14,1);
INSERT INTO "histograms" VALUES(1,'average_increase',0,2);
INSERT INTO "histograms" VALUES(1,'average_increase',19,3);
INSERT INTO "histograms" VALUES(1,'coherency',1,1);
INSERT INTO "histograms" VALUES(1,'coherency',3,1);
INSERT INTO "histograms" VALUES(1,'coherency',7,2);
INSERT INTO "histograms" VALUES(1,'coherency',17,1);
INSERT INTO "histograms" VALUES(1,'complexity',1,2);
INSERT INTO "histograms" VALUES(1,'complexity',4,1);
INSERT INTO "histograms" VALUES(1,'complexity',7,1);
INSERT INTO "histograms" VALUES(1,'complexity',8,1);
INSERT INTO "histograms" VALUES(1,'deletion',0,1);
INSERT INTO "histograms" VALUES(1,'deletion',6,1);
INSERT INTO "histograms" VALUES(1,'deletion',9,1);
INSERT INTO "histograms" VALUES(1,'deletion',16,1);
INSERT INTO "histograms" VALUES(1,'deletion',19,1);
INSERT INTO "histograms" VALUES(2,'adcc',2,1);
INSERT INTO "histograms" VALUES(2,'adcc',3,1);
INSERT INTO "histograms" VALUES(2,'adcc',9,1);
INSERT INTO "histograms" VALUES(2,'adcc',12,1);
INSERT INTO "histograms" VALUES(2,'adcc',15,1);
INSERT INTO "histograms" VALUES(2,'average_drop',0,3);
INSERT INTO "histograms" VALUES(2,'average_drop',5,1);
INSERT INTO "histograms" VALUES(2,'average_drop',10,1);
INSERT INTO "histograms" VALUES(2,'average_increase',0,2);
INSERT INTO "histograms" VALUES(2,'average_increase',19,3);
INSERT INTO "histograms" VALUES(2,'coherency',2,1);
INSERT INTO "histograms" VALUES(2,'coherency',4,1);
INSERT INTO "histograms" VALUES(2,'coherency',6,1);
INSERT INTO "histograms" VALUES(2,'coherency',14,1);
INSERT INTO "histograms" VALUES(2,'coherency',18,1);
INSERT INTO "histograms" VALUES(2,'complexity',8,1);
INSERT INTO "histograms" VALUES(2,'complexity',9,1);
INSERT INTO "histograms" VALUES(2,'complexity',12,1);
INSERT INTO "histograms" VALUES(2,'complexity',17,1);
INSERT INTO "histograms" VALUES(2,'complexity',18,1);
INSERT INTO "histograms" VALUES(2,'deletion',0,1);
INSERT INTO "histograms" VALUES(2,'deletion',1,1);
INSERT INTO "histograms" VALUES(2,'deletion',11,1);
INSERT INTO "histograms" VALUES(2,'deletion',16,1);
INSERT INTO "histograms" VALUES(2,'deletion',17,1);
CREATE TABLE images (
    id INTEGER PRIMARY KEY,           -- rank in the seeded shuffle, from 0
    path BLOB NOT NULL UNIQUE,        -- bytes, relative to the data root
    size INTEGER NOT NULL,
    label INTEGER                     -- class index, NULL where unknown
) STRICT;
INSERT INTO "images" VALUES(0,X'62616430303030302E6A7067',1,NULL);
INSERT INTO "images" VALUES(1,X'696D6730303030352E6A7067',6,NULL);
INSERT INTO "images" VALUES(2,X'696D6730303030332E6A7067',4,NULL);
INSERT INTO "images" VALUES(3,X'696D6730303030312E6A7067',2,NULL);
INSERT INTO "images" VALUES(4,X'696D6730303030342E6A7067',5,NULL);
INSERT INTO "images" VALUES(5,X'696D6730303030322E6A7067',3,NULL);
CREATE TABLE measurements (
    cell_id INTEGER NOT NULL REFERENCES cells (id),
    metric TEXT NOT NULL,
    image_id INTEGER NOT NULL REFERENCES images (id),
    value REAL NOT NULL,
    curve BLOB NOT NULL,              -- S + 1 points, float16 little-endian
    PRIMARY KEY (cell_id, metric, image_id)
) STRICT, WITHOUT ROWID;
INSERT INTO "measurements" VALUES(1,'deletion',1,8.1229263319992806025e-01,X'803A803A');
INSERT INTO "measurements" VALUES(1,'deletion',2,2.02322103920242711561e-02,X'2E252E25');
INSERT INTO "measurements" VALUES(1,'deletion',3,3.16148714480852355279e-01,X'0F350F35');
INSERT INTO "measurements" VALUES(1,'deletion',4,0.993128691337477,X'F23BF23B');
INSERT INTO "measurements" VALUES(1,'deletion',5,4.51107149267984952611e-01,X'38373837');
INSERT INTO "measurements" VALUES(2,'deletion',1,3.1090371296233324655e-02,X'F627F627');
INSERT INTO "measurements" VALUES(2,'deletion',2,8.67237348171306154931e-01,X'F03AF03A');
INSERT INTO "measurements" VALUES(2,'deletion',3,8.77692987733663526617e-02,X'9E2D9E2D');
INSERT INTO "measurements" VALUES(2,'deletion',4,5.98240132863521512085e-01,X'C938C938');
INSERT INTO "measurements" VALUES(2,'deletion',5,8.49272983917373713858e-01,X'CB3ACB3A');
CREATE TABLE results (
    cell_id INTEGER NOT NULL REFERENCES cells (id),
    image_id INTEGER NOT NULL REFERENCES images (id),
    target INTEGER NOT NULL, predicted INTEGER NOT NULL,
    y REAL NOT NULL, o REAL NOT NULL,
    average_drop REAL, average_increase REAL NOT NULL, coherency REAL NOT NULL, complexity REAL NOT NULL, adcc REAL,
    degenerate INTEGER NOT NULL,
    map BLOB,                         -- float32 little-endian, h × w of the target layer; NULL for a fixed map
    PRIMARY KEY (cell_id, image_id)
) STRICT, WITHOUT ROWID;
INSERT INTO "results" VALUES(1,1,1,1,8.73623079911981181844e-01,2.60226354114605873402e-01,7.02129716924575708603e-01,0.0,3.77954910333289317847e-01,8.24872501741688440857e-02,4.22958920403150528954e-01,0,X'22D3663F7D08303CE377373F992E3B3F');
INSERT INTO "results" VALUES(1,2,2,2,1.91344675984538775681e-01,7.53762519101722872072e-01,0.0,1.0,1.63854301597990886785e-01,4.30078117209450272451e-01,3.38691839854914411578e-01,0,X'3591983E43A1313F4061093F885E8D3E');
INSERT INTO "results" VALUES(1,3,0,0,3.68864699327915601667e-01,0.641041202870644,0.0,1.0,3.83878571035396964905e-01,3.71158352647368627863e-01,5.77454347880435148177e-01,0,X'2D6E543F0115763F1024283E2ACC123F');
INSERT INTO "results" VALUES(1,4,1,1,7.73674892599845787088e-01,5.76547328114254686859e-01,2.54793798236319313232e-01,0.0,8.9977888069125877557e-01,2.02314465212489275058e-01,8.09296884573391106521e-01,0,X'4710773F4085A83E0CB82E3F1CD4D13E');
INSERT INTO "results" VALUES(1,5,2,2,2.72260163783905962189e-03,2.1157988290694548783e-01,0.0,1.0,5.6010123781855158942e-02,7.05380576799912173413e-02,1.50528305618163354973e-01,0,X'05E7233F99264E3F22DF5B3FE853BE3E');
INSERT INTO "results" VALUES(2,1,1,1,7.39186008815101325275e-01,5.2411627465667376402e-01,2.90954822728827833255e-01,0.0,2.1710713663273159546e-01,8.89147403235944211452e-01,1.99503147753758908189e-01,0,X'0EA8463F7D703C3F8091473F17361E3F');
INSERT INTO "results" VALUES(2,2,2,2,1.30399928833171765973e-02,6.33479970910828527053e-01,0.0,1.0,9.03189682912458824404e-01,4.41542630809572234085e-01,7.69658202854659467817e-01,0,X'002E093F32C9343FFEECE83EC1E3393F');
INSERT INTO "results" VALUES(2,3,0,0,9.72175341578118863694e-03,5.30230276505355591076e-01,0.0,1.0,7.19356655041055503829e-01,6.00639728549569928972e-01,6.12978504704738913488e-01,0,X'C995533E22F0593E7D197E3F7E721C3F');
INSERT INTO "results" VALUES(2,4,1,1,5.5227186831074215334e-01,7.07192859748754232285e-01,0.0,1.0,3.06799395565502619476e-01,4.75287997175339593791e-01,4.86596994017217066019e-01,0,X'12B80A3FE8CC543E56B2763FF300393F');
INSERT INTO "results" VALUES(2,5,2,2,6.31230119787515087104e-01,3.08715749388227378435e-01,0.510929945022035,0.0,1.25925320141983543287e-01,9.0411154720740782853e-01,1.46952960384039960084e-01,0,X'A565DC3DE01B4D3F076B3F3F0328733F');
CREATE TABLE run (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    name TEXT NOT NULL,
    plan TEXT NOT NULL,               -- JSON, evaluator.plan.RunPlan
    manifest_sha256 TEXT NOT NULL,    -- of every path and size of the data set, whatever the limit
    image_count INTEGER NOT NULL,
    state TEXT NOT NULL,              -- records.RunState
    message TEXT NOT NULL DEFAULT '', -- why, when the state alone does not say
    created REAL NOT NULL, started REAL, finished REAL, heartbeat REAL,  -- seconds since 1970
    pid INTEGER, host TEXT NOT NULL DEFAULT '',
    versions TEXT NOT NULL DEFAULT '{}'
) STRICT;
INSERT INTO "run" VALUES(1,'version1','{"backbones": [{"key": "resnet50", "layer": null, "weights": "default"}], "curve_steps": 28, "data": "/data/version-1", "demo": false, "insertion_start": "zero", "labels": null, "limit": null, "methods": ["gradcam", "scorecam"], "metrics": ["average_drop", "average_increase", "deletion", "coherency", "complexity", "adcc"], "precision": "fp32", "resize": 224, "seed": 0, "target": "predicted"}','49690756afde2b9fc1144e9335b366ad5be6f118cbf23026a1fc9b7cf9b5f012',6,'complete','',1.79541743445038461685e+09,1.79541743445104622837e+09,1.7954174345527021885e+09,1.7954174345533857346e+09,1,'host','{"camtui": "0.1.0", "fake": "1", "python": "3.11.7", "sqlite": "3.40.1"}');
CREATE TABLE stages (
    id INTEGER PRIMARY KEY,
    title TEXT NOT NULL,
    backbone_id INTEGER NOT NULL REFERENCES backbones (id),
    cells TEXT NOT NULL, metrics TEXT NOT NULL,        -- JSON lists
    forwards_per_image REAL NOT NULL,                  -- planned, for the ETA before anything is measured
    seconds REAL NOT NULL DEFAULT 0, timed_images INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO "stages" VALUES(1,'resnet50 · Grad-CAM',0,'[1]','[]',2.0,6.38429000900941900908e-04,6);
INSERT INTO "stages" VALUES(2,'resnet50 · Grad-CAM · Deletion',0,'[1]','["deletion"]',27.0,2.23288399865850806236e-03,5);
INSERT INTO "stages" VALUES(3,'resnet50 · Score-CAM',0,'[2]','[]',18.0,1.50660600047558546066e-03,6);
INSERT INTO "stages" VALUES(4,'resnet50 · Score-CAM · Deletion',0,'[2]','["deletion"]',27.0,0.0011485699997138,5);
CREATE TABLE sums (                   -- statistics.Sums, committed with the rows that they sum
    cell_id INTEGER NOT NULL REFERENCES cells (id),
    a TEXT NOT NULL, b TEXT NOT NULL, -- (x, '') Σx; (x, x) Σx²; (x, y) Σxy
    n INTEGER NOT NULL,
    total INTEGER NOT NULL,           -- in units of 2^-40
    PRIMARY KEY (cell_id, a, b)
) STRICT, WITHOUT ROWID;
INSERT INTO "sums" VALUES(1,'adcc','',5,2527700594460);
INSERT INTO "sums" VALUES(1,'adcc','adcc',5,1434510998524);
INSERT INTO "sums" VALUES(1,'average_drop','',5,1052148531812);
INSERT INTO "sums" VALUES(1,'average_drop','average_drop',5,613424155106);
INSERT INTO "sums" VALUES(1,'average_drop','coherency',5,543853033803);
INSERT INTO "sums" VALUES(1,'average_drop','complexity',5,120358282935);
INSERT INTO "sums" VALUES(1,'average_increase','',5,3298534883328);
INSERT INTO "sums" VALUES(1,'average_increase','average_increase',5,3298534883328);
INSERT INTO "sums" VALUES(1,'coherency','',5,2068705605179);
INSERT INTO "sums" VALUES(1,'coherency','coherency',5,1242228316009);
INSERT INTO "sums" VALUES(1,'coherency','complexity',5,472916968481);
INSERT INTO "sums" VALUES(1,'complexity','',5,1271669027504);
INSERT INTO "sums" VALUES(1,'complexity','complexity',5,412796925333);
INSERT INTO "sums" VALUES(1,'degenerate','',5,0);
INSERT INTO "sums" VALUES(1,'deletion','',5,2850934033617);
INSERT INTO "sums" VALUES(1,'deletion','deletion',5,2144026708274);
INSERT INTO "sums" VALUES(2,'adcc','',5,2436176709326);
INSERT INTO "sums" VALUES(2,'adcc','adcc',5,1392300259803);
INSERT INTO "sums" VALUES(2,'average_drop','',5,881681626279);
INSERT INTO "sums" VALUES(2,'average_drop','average_drop',5,380105697060);
INSERT INTO "sums" VALUES(2,'average_drop','coherency',5,140195852819);
INSERT INTO "sums" VALUES(2,'average_drop','complexity',5,792351386755);
INSERT INTO "sums" VALUES(2,'average_increase','',5,3298534883328);
INSERT INTO "sums" VALUES(2,'average_increase','average_increase',5,3298534883328);
INSERT INTO "sums" VALUES(2,'coherency','',5,2498506242934);
INSERT INTO "sums" VALUES(2,'coherency','coherency',5,1638650738388);
INSERT INTO "sums" VALUES(2,'coherency','complexity',5,1411310901827);
INSERT INTO "sums" VALUES(2,'complexity','',5,3640185369441);
INSERT INTO "sums" VALUES(2,'complexity','complexity',5,2627423170701);
INSERT INTO "sums" VALUES(2,'degenerate','',5,0);
INSERT INTO "sums" VALUES(2,'deletion','',5,2675782640930);
INSERT INTO "sums" VALUES(2,'deletion','deletion',5,2023020621507);
CREATE TABLE workers (
    id INTEGER PRIMARY KEY,
    device TEXT NOT NULL, pid INTEGER NOT NULL, state TEXT NOT NULL, heartbeat REAL NOT NULL, restarts INTEGER NOT NULL,
    utilisation REAL, memory_used INTEGER, memory_total INTEGER, power REAL, temperature REAL
) STRICT;
INSERT INTO "workers" VALUES(1,'cpu',0,'ended',1.79541743455268526076e+09,0,NULL,NULL,NULL,NULL,NULL);
CREATE INDEX results_by_adcc ON results (cell_id, adcc, image_id);
COMMIT;
