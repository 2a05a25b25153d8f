PRAGMA application_id=1128353108;
PRAGMA user_version=2;
BEGIN TRANSACTION;
CREATE TABLE backbones (
    id INTEGER PRIMARY KEY,           -- position in the plan
    name TEXT NOT NULL UNIQUE,
    loaded TEXT                       -- JSON, records.LoadedBackbone; NULL until a worker has loaded it once
, checksum BLOB) STRICT;
INSERT INTO "backbones" VALUES(0,'efficientnet_lite0','{"key": "efficientnet_lite0", "weights": "efficientnet-lite0-57934424.pth", "sha256": "2b2a0cb3362633f6606e5cc8fc2014391c9a073a7b2e0bc190673c5ab8c4c671", "layer": "extract_features", "channels": 1280, "height": 7, "width": 7, "gap_linear": true, "classes": ["tench", "goldfish", "great white shark", "tiger shark", "hammerhead", "electric ray", "stingray", "cock", "hen", "ostrich", "brambling", "goldfinch", "house finch", "junco", "indigo bunting", "robin", "bulbul", "jay", "magpie", "chickadee", "water ouzel", "kite", "bald eagle", "vulture", "great grey owl", "European fire salamander", "common newt", "eft", "spotted salamander", "axolotl", "bullfrog", "tree frog", "tailed frog", "loggerhead", "leatherback turtle", "mud turtle", "terrapin", "box turtle", "banded gecko", "common iguana", "American chameleon", "whiptail", "agama", "frilled lizard", "alligator lizard", "Gila monster", "green lizard", "African chameleon", "Komodo dragon", "African crocodile", "American alligator", "triceratops", "thunder snake", "ringneck snake", "hognose snake", "green snake", "king snake", "garter snake", "water snake", "vine snake", "night snake", "boa constrictor", "rock python", "Indian cobra", "green mamba", "sea snake", "horned viper", "diamondback", "sidewinder", "trilobite", "harvestman", "scorpion", "black and gold garden spider", "barn spider", "garden spider", "black widow", "tarantula", "wolf spider", "tick", "centipede", "black grouse", "ptarmigan", "ruffed grouse", "prairie chicken", "peacock", "quail", "partridge", "African grey", "macaw", "sulphur-crested cockatoo", "lorikeet", "coucal", "bee eater", "hornbill", "hummingbird", "jacamar", "toucan", "drake", "red-breasted merganser", "goose", "black swan", "tusker", "echidna", "platypus", "wallaby", "koala", "wombat", "jellyfish", "sea anemone", "brain coral", "flatworm", "nematode", "conch", "snail", "slug", "sea slug", "chiton", "chambered nautilus", "Dungeness crab", "rock crab", "fiddler crab", "king crab", "American lobster", "spiny lobster", "crayfish", "hermit crab", "isopod", "white stork", "black stork", "spoonbill", "flamingo", "little blue heron", "American egret", "bittern", "crane bird", "limpkin", "European gallinule", "American coot", "bustard", "ruddy turnstone", "red-backed sandpiper", "redshank", "dowitcher", "oystercatcher", "pelican", "king penguin", "albatross", "grey whale", "killer whale", "dugong", "sea lion", "Chihuahua", "Japanese spaniel", "Maltese dog", "Pekinese", "Shih-Tzu", "Blenheim spaniel", "papillon", "toy terrier", "Rhodesian ridgeback", "Afghan hound", "basset", "beagle", "bloodhound", "bluetick", "black-and-tan coonhound", "Walker hound", "English foxhound", "redbone", "borzoi", "Irish wolfhound", "Italian greyhound", "whippet", "Ibizan hound", "Norwegian elkhound", "otterhound", "Saluki", "Scottish deerhound", "Weimaraner", "Staffordshire bullterrier", "American Staffordshire terrier", "Bedlington terrier", "Border terrier", "Kerry blue terrier", "Irish terrier", "Norfolk terrier", "Norwich terrier", "Yorkshire terrier", "wire-haired fox terrier", "Lakeland terrier", "Sealyham terrier", "Airedale", "cairn", "Australian terrier", "Dandie Dinmont", "Boston bull", "miniature schnauzer", "giant schnauzer", "standard schnauzer", "Scotch terrier", "Tibetan terrier", "silky terrier", "soft-coated wheaten terrier", "West Highland white terrier", "Lhasa", "flat-coated retriever", "curly-coated retriever", "golden retriever", "Labrador retriever", "Chesapeake Bay retriever", "German short-haired pointer", "vizsla", "English setter", "Irish setter", "Gordon setter", "Brittany spaniel", "clumber", "English springer", "Welsh springer spaniel", "cocker spaniel", "Sussex spaniel", "Irish water spaniel", "kuvasz", "schipperke", "groenendael", "malinois", "briard", "kelpie", "komondor", "Old English sheepdog", "Shetland sheepdog", "collie", "Border collie", "Bouvier des Flandres", "Rottweiler", "German shepherd", "Doberman", "miniature pinscher", "Greater Swiss Mountain dog", "Bernese mountain dog", "Appenzeller", "EntleBucher", "boxer", "bull mastiff", "Tibetan mastiff", "French bulldog", "Great Dane", "Saint Bernard", "Eskimo dog", "malamute", "Siberian husky", "dalmatian", "affenpinscher", "basenji", "pug", "Leonberg", "Newfoundland", "Great Pyrenees", "Samoyed", "Pomeranian", "chow", "keeshond", "Brabancon griffon", "Pembroke", "Cardigan", "toy poodle", "miniature poodle", "standard poodle", "Mexican hairless", "timber wolf", "white wolf", "red wolf", "coyote", "dingo", "dhole", "African hunting dog", "hyena", "red fox", "kit fox", "Arctic fox", "grey fox", "tabby", "tiger cat", "Persian cat", "Siamese cat", "Egyptian cat", "cougar", "lynx", "leopard", "snow leopard", "jaguar", "lion", "tiger", "cheetah", "brown bear", "American black bear", "ice bear", "sloth bear", "mongoose", "meerkat", "tiger beetle", "ladybug", "ground beetle", "long-horned beetle", "leaf beetle", "dung beetle", "rhinoceros beetle", "weevil", "fly", "bee", "ant", "grasshopper", "cricket", "walking stick", "cockroach", "mantis", "cicada", "leafhopper", "lacewing", "dragonfly", "damselfly", "admiral", "ringlet", "monarch", "cabbage butterfly", "sulphur butterfly", "lycaenid", "starfish", "sea urchin", "sea cucumber", "wood rabbit", "hare", "Angora", "hamster", "porcupine", "fox squirrel", "marmot", "beaver", "guinea pig", "sorrel", "zebra", "hog", "wild boar", "warthog", "hippopotamus", "ox", "water buffalo", "bison", "ram", "bighorn", "ibex", "hartebeest", "impala", "gazelle", "Arabian camel", "llama", "weasel", "mink", "polecat", "black-footed ferret", "otter", "skunk", "badger", "armadillo", "three-toed sloth", "orangutan", "gorilla", "chimpanzee", "gibbon", "siamang", "guenon", "patas", "baboon", "macaque", "langur", "colobus", "proboscis monkey", "marmoset", "capuchin", "howler monkey", "titi", "spider monkey", "squirrel monkey", "Madagascar cat", "indri", "Indian elephant", "African elephant", "lesser panda", "giant panda", "barracouta", "eel", "coho", "rock beauty", "anemone fish", "sturgeon", "gar", "lionfish", "puffer", "abacus", "abaya", "academic gown", "accordion", "acoustic guitar", "aircraft carrier", "airliner", "airship", "altar", "ambulance", "amphibian", "analog clock", "apiary", "apron", "ashcan", "assault rifle", "backpack", "bakery", "balance beam", "balloon", "ballpoint", "Band Aid", "banjo", "bannister", "barbell", "barber chair", "barbershop", "barn", "barometer", "barrel", "barrow", "baseball", "basketball", "bassinet", "bassoon", "bathing cap", "bath towel", "bathtub", "beach wagon", "beacon", "beaker", "bearskin", "beer bottle", "beer glass", "bell cote", "bib", "bicycle-built-for-two", "bikini", "binder", "binoculars", "birdhouse", "boathouse", "bobsled", "bolo tie", "bonnet", "bookcase", "bookshop", "bottlecap", "bow", "bow tie", "brass", "brassiere", "breakwater", "breastplate", "broom", "bucket", "buckle", "bulletproof vest", "bullet train", "butcher shop", "cab", "caldron", "candle", "cannon", "canoe", "can opener", "cardigan", "car mirror", "carousel", "carpenter''s kit", "carton", "car wheel", "cash machine", "cassette", "cassette player", "castle", "catamaran", "CD player", "cello", "cellular telephone", "chain", "chainlink fence", "chain mail", "chain saw", "chest", "chiffonier", "chime", "china cabinet", "Christmas stocking", "church", "cinema", "cleaver", "cliff dwelling", "cloak", "clog", "cocktail shaker", "coffee mug", "coffeepot", "coil", "combination lock", "computer keyboard", "confectionery", "container ship", "convertible", "corkscrew", "cornet", "cowboy boot", "cowboy hat", "cradle", "crane", "crash helmet", "crate", "crib", "Crock Pot", "croquet ball", "crutch", "cuirass", "dam", "desk", "desktop computer", "dial telephone", "diaper", "digital clock", "digital watch", "dining table", "dishrag", "dishwasher", "disk brake", "dock", "dogsled", "dome", "doormat", "drilling platform", "drum", "drumstick", "dumbbell", "Dutch oven", "electric fan", "electric guitar", "electric locomotive", "entertainment center", "envelope", "espresso maker", "face powder", "feather boa", "file", "fireboat", "fire engine", "fire screen", "flagpole", "flute", "folding chair", "football helmet", "forklift", "fountain", "fountain pen", "four-poster", "freight car", "French horn", "frying pan", "fur coat", "garbage truck", "gasmask", "gas pump", "goblet", "go-kart", "golf ball", "golfcart", "gondola", "gong", "gown", "grand piano", "greenhouse", "grille", "grocery store", "guillotine", "hair slide", "hair spray", "half track", "hammer", "hamper", "hand blower", "hand-held computer", "handkerchief", "hard disc", "harmonica", "harp", "harvester", "hatchet", "holster", "home theater", "honeycomb", "hook", "hoopskirt", "horizontal bar", "horse cart", "hourglass", "iPod", "iron", "jack-o''-lantern", "jean", "jeep", "jersey", "jigsaw puzzle", "jinrikisha", "joystick", "kimono", "knee pad", "knot", "lab coat", "ladle", "lampshade", "laptop", "lawn mower", "lens cap", "letter opener", "library", "lifeboat", "lighter", "limousine", "liner", "lipstick", "Loafer", "lotion", "loudspeaker", "loupe", "lumbermill", "magnetic compass", "mailbag", "mailbox", "maillot", "maillot tank suit", "manhole cover", "maraca", "marimba", "mask", "matchstick", "maypole", "maze", "measuring cup", "medicine chest", "megalith", "microphone", "microwave", "military uniform", "milk can", "minibus", "miniskirt", "minivan", "missile", "mitten", "mixing bowl", "mobile home", "Model T", "modem", "monastery", "monitor", "moped", "mortar", "mortarboard", "mosque", "mosquito net", "motor scooter", "mountain bike", "mountain tent", "mouse", "mousetrap", "moving van", "muzzle", "nail", "neck brace", "necklace", "nipple", "notebook", "obelisk", "oboe", "ocarina", "odometer", "oil filter", "organ", "oscilloscope", "overskirt", "oxcart", "oxygen mask", "packet", "paddle", "paddlewheel", "padlock", "paintbrush", "pajama", "palace", "panpipe", "paper towel", "parachute", "parallel bars", "park bench", "parking meter", "passenger car", "patio", "pay-phone", "pedestal", "pencil box", "pencil sharpener", "perfume", "Petri dish", "photocopier", "pick", "pickelhaube", "picket fence", "pickup", "pier", "piggy bank", "pill bottle", "pillow", "ping-pong ball", "pinwheel", "pirate", "pitcher", "plane", "planetarium", "plastic bag", "plate rack", "plow", "plunger", "Polaroid camera", "pole", "police van", "poncho", "pool table", "pop bottle", "pot", "potter''s wheel", "power drill", "prayer rug", "printer", "prison", "projectile", "projector", "puck", "punching bag", "purse", "quill", "quilt", "racer", "racket", "radiator", "radio", "radio telescope", "rain barrel", "recreational vehicle", "reel", "reflex camera", "refrigerator", "remote control", "restaurant", "revolver", "rifle", "rocking chair", "rotisserie", "rubber eraser", "rugby ball", "rule", "running shoe", "safe", "safety pin", "saltshaker", "sandal", "sarong", "sax", "scabbard", "scale", "school bus", "schooner", "scoreboard", "screen", "screw", "screwdriver", "seat belt", "sewing machine", "shield", "shoe shop", "shoji", "shopping basket", "shopping cart", "shovel", "shower cap", "shower curtain", "ski", "ski mask", "sleeping bag", "slide rule", "sliding door", "slot", "snorkel", "snowmobile", "snowplow", "soap dispenser", "soccer ball", "sock", "solar dish", "sombrero", "soup bowl", "space bar", "space heater", "space shuttle", "spatula", "speedboat", "spider web", "spindle", "sports car", "spotlight", "stage", "steam locomotive", "steel arch bridge", "steel drum", "stethoscope", "stole", "stone wall", "stopwatch", "stove", "strainer", "streetcar", "stretcher", "studio couch", "stupa", "submarine", "suit", "sundial", "sunglass", "sunglasses", "sunscreen", "suspension bridge", "swab", "sweatshirt", "swimming trunks", "swing", "switch", "syringe", "table lamp", "tank", "tape player", "teapot", "teddy", "television", "tennis ball", "thatch", "theater curtain", "thimble", "thresher", "throne", "tile roof", "toaster", "tobacco shop", "toilet seat", "torch", "totem pole", "tow truck", "toyshop", "tractor", "trailer truck", "tray", "trench coat", "tricycle", "trimaran", "tripod", "triumphal arch", "trolleybus", "trombone", "tub", "turnstile", "typewriter keyboard", "umbrella", "unicycle", "upright", "vacuum", "vase", "vault", "velvet", "vending machine", "vestment", "viaduct", "violin", "volleyball", "waffle iron", "wall clock", "wallet", "wardrobe", "warplane", "washbasin", "washer", "water bottle", "water jug", "water tower", "whiskey jug", "whistle", "wig", "window screen", "window shade", "Windsor tie", "wine bottle", "wing", "wok", "wooden spoon", "wool", "worm fence", "wreck", "yawl", "yurt", "web site", "comic book", "crossword puzzle", "street sign", "traffic light", "book jacket", "menu", "plate", "guacamole", "consomme", "hot pot", "trifle", "ice cream", "ice lolly", "French loaf", "bagel", "pretzel", "cheeseburger", "hotdog", "mashed potato", "head cabbage", "broccoli", "cauliflower", "zucchini", "spaghetti squash", "acorn squash", "butternut squash", "cucumber", "artichoke", "bell pepper", "cardoon", "mushroom", "Granny Smith", "strawberry", "orange", "lemon", "fig", "pineapple", "banana", "jackfruit", "custard apple", "pomegranate", "hay", "carbonara", "chocolate sauce", "dough", "meat loaf", "pizza", "potpie", "burrito", "red wine", "espresso", "cup", "eggnog", "alp", "bubble", "cliff", "coral reef", "geyser", "lakeside", "promontory", "sandbar", "seashore", "valley", "volcano", "ballplayer", "groom", "scuba diver", "rapeseed", "daisy", "yellow lady''s slipper", "corn", "acorn", "hip", "buckeye", "coral fungus", "agaric", "gyromitra", "stinkhorn", "earthstar", "hen-of-the-woods", "bolete", "ear", "toilet tissue"], "preprocessing": {"side": 224, "resize": 224, "interpolation": "bilinear", "mean": [0.4980392156862745, 0.4980392156862745, 0.4980392156862745], "std": [0.5019607843137255, 0.5019607843137255, 0.5019607843137255], "channels": 3}, "class_count": 1000, "score": "softmax", "cut": "graph", "tokens": null, "source": "", "attention": 0}',X'31656AE3F611BDAF');
CREATE TABLE cells (
    id INTEGER PRIMARY KEY,
    backbone_id INTEGER NOT NULL REFERENCES backbones (id),
    method TEXT NOT NULL,             -- spec: key and options that differ from the defaults
    identity TEXT,                    -- plan.cell_identity, known once the backbone is loaded
    applicable INTEGER NOT NULL DEFAULT 1,
    note TEXT NOT NULL DEFAULT '', checksum BLOB,
    UNIQUE (backbone_id, method)
) STRICT;
INSERT INTO "cells" VALUES(1,0,'gradcam','23a0b5dc70af96bbf5f9e81649c97e2e1dc397029ad883ef51b27cb66b44e22e',1,'',X'9AC4CA19201A264B');
CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    time REAL NOT NULL, level TEXT NOT NULL, text TEXT NOT NULL
, checksum BLOB) STRICT;
INSERT INTO "events" VALUES(1,1.79557689957786035541e+09,'info','loaded efficientnet_lite0: efficientnet-lite0-57934424.pth, extract_features 1280×7×7',X'0BA35671ED85F94E');
INSERT INTO "events" VALUES(2,1.79557689958888649938e+09,'info','labels: 0 of 2 images; a flat folder: --labels FILE.csv gives them',X'B7ACA8776D6C241C');
INSERT INTO "events" VALUES(3,1.7955768995958089828e+09,'info','started: 2 images, 1 backbone × 1 method = 1 cell',X'5FD717633A60393B');
INSERT INTO "events" VALUES(4,1795576900.28706,'info','finished: efficientnet_lite0 · Grad-CAM',X'EB7BC8DEC37DA352');
INSERT INTO "events" VALUES(5,1.7955769044430005551e+09,'info','finished: efficientnet_lite0 · Grad-CAM · Deletion and Sparseness',X'28CB33247E1388EE');
INSERT INTO "events" VALUES(6,1.79557690477284526827e+09,'info','complete',X'FCDCCECEFF039E95');
CREATE TABLE failures (
    cell_id INTEGER NOT NULL REFERENCES cells (id),
    image_id INTEGER NOT NULL REFERENCES images (id),
    metric TEXT NOT NULL,             -- '' for the row itself
    reason TEXT NOT NULL, detail TEXT NOT NULL, time REAL NOT NULL, checksum BLOB,
    PRIMARY KEY (cell_id, image_id, metric)
) STRICT, WITHOUT ROWID;
CREATE TABLE histograms (             -- 20 equal bins of [0, 1], committed with the rows that they count
    cell_id INTEGER NOT NULL REFERENCES cells (id),
    metric TEXT NOT NULL, bin INTEGER NOT NULL, n INTEGER NOT NULL,
    PRIMARY KEY (cell_id, metric, bin)
) STRICT, WITHOUT ROWID;
INSERT INTO "histograms" VALUES(1,'adcc',6,1);
INSERT INTO "histograms" VALUES(1,'adcc',10,1);
INSERT INTO "histograms" VALUES(1,'average_drop',12,1);
INSERT INTO "histograms" VALUES(1,'average_drop',17,1);
INSERT INTO "histograms" VALUES(1,'average_increase',0,2);
INSERT INTO "histograms" VALUES(1,'coherency',17,1);
INSERT INTO "histograms" VALUES(1,'coherency',19,1);
INSERT INTO "histograms" VALUES(1,'complexity',9,1);
INSERT INTO "histograms" VALUES(1,'complexity',10,1);
INSERT INTO "histograms" VALUES(1,'deletion',0,1);
INSERT INTO "histograms" VALUES(1,'deletion',1,1);
INSERT INTO "histograms" VALUES(1,'sparseness',4,2);
CREATE TABLE images (
    id INTEGER PRIMARY KEY,           -- rank in the seeded shuffle, from 0
    path BLOB NOT NULL UNIQUE,        -- bytes, relative to the data root
    size INTEGER NOT NULL,
    label INTEGER                     -- class index, NULL where unknown
, content BLOB, checksum BLOB) STRICT;
INSERT INTO "images" VALUES(0,X'302E70706D',187215,NULL,X'7F5A8D72610F7D6C9432E044550B474D69AE2E277003708D432495E90FA4F102',X'782273FBDA05F0E4');
INSERT INTO "images" VALUES(1,X'312E70706D',187215,NULL,X'6E85EC2692C0DB66A70CD53BC7F65346FD9A218A6569A469310127DD4A3CEC0F',X'28AA76FB0F2F1717');
CREATE TABLE looks (                  -- what the plan's rule (--until) has decided so far; the driver works it out anew
    id INTEGER PRIMARY KEY CHECK (id = 1),
    rule TEXT NOT NULL,
    images INTEGER NOT NULL,          -- looked at, in the seeded order
    needed INTEGER,                   -- about how many it takes
    decided INTEGER,                  -- after how many nothing was open any more
    dropped TEXT NOT NULL,            -- JSON, cell -> images after which it is computed no further
    verdicts TEXT NOT NULL,           -- JSON, a line for each backbone
    checksum BLOB
) STRICT;
CREATE TABLE measurements (
    cell_id INTEGER NOT NULL REFERENCES cells (id),
    metric TEXT NOT NULL,
    image_id INTEGER NOT NULL REFERENCES images (id),
    value REAL NOT NULL,
    curve BLOB NOT NULL, checksum BLOB,              -- S + 1 points, float16 little-endian; empty where the metric is no curve
    PRIMARY KEY (cell_id, metric, image_id)
) STRICT, WITHOUT ROWID;
INSERT INTO "measurements" VALUES(1,'deletion',0,2.52447142669330396036e-02,X'A033A633A32E722DDB273925FE236F213424A81D1D1BC81B3C1DDF20951CA21D081C521C3F1724167C17701AF51AA512E4128A1BAD16E2157214',X'DE57F4E55761D4FF');
INSERT INTO "measurements" VALUES(1,'deletion',1,5.82594536362587497868e-02,X'203577323F322D305332F92F5E342130672B9D2AE2281525E4224F202A21641FBE186E195615421124112E0B140C4014BD11C810F00EA6147214',X'20DFEBBC42AD2B73');
INSERT INTO "measurements" VALUES(1,'sparseness',0,2.0451775170330244169e-01,X'',X'E8A10CDA2E052726');
INSERT INTO "measurements" VALUES(1,'sparseness',1,2.29069639155908721939e-01,X'',X'BFDF1920556D485D');
CREATE TABLE results (
    cell_id INTEGER NOT NULL REFERENCES cells (id),
    image_id INTEGER NOT NULL REFERENCES images (id),
    target INTEGER NOT NULL, predicted INTEGER NOT NULL,
    y REAL NOT NULL, o REAL NOT NULL,
    average_drop REAL, average_increase REAL NOT NULL, coherency REAL NOT NULL, complexity REAL NOT NULL, adcc REAL,
    degenerate INTEGER NOT NULL,
    map BLOB, checksum BLOB,                         -- float32 little-endian, h × w of the target layer; NULL for a fixed map
    PRIMARY KEY (cell_id, image_id)
) STRICT, WITHOUT ROWID;
INSERT INTO "results" VALUES(1,0,549,549,2.38336579821609911844e-01,8.83053489095029092714e-02,6.29493093441226503337e-01,0.0,9.64030585332106837448e-01,0.534858153410712,5.09666822970127553205e-01,0,X'9F95023D48128D3E733B133EF1704B3EC729E13E90FAB23E000000005FD9B03E9A5A1A3F55F7143F2D7A523F8FA6493F0000803FACFBCA3E3FF7B63EAB29303F26590D3F51B5463FFBEC183F0F1E6D3F36C7BE3E0E5F013FA4024F3F7458053F3337E53E08D2023F9B4A6F3F134CFD3EB3CE103FF02E533F62BEFB3ED14DCE3E100D173F3C586D3F9BF5D03EEC6E253F8A9E503FB1D31D3F86FCD83E0D9D2F3FD00C503F06C6283F7AD5FC3D2793283F98D5CF3E08B8753E57F69D3EAE07463FABFCB73E',X'99630B07722CA3AC');
INSERT INTO "results" VALUES(1,1,549,549,3.20342027727565648032e-01,4.69443243365415541212e-02,8.53455618453956676994e-01,0.0,8.98670369406698865688e-01,4.73519550446344861249e-01,3.05001037158937504667e-01,0,X'0000000093BFFD3DE2289A3ECC7E9B3E994BEF3E7535CC3EE1CDA73D8D8E393EBB7A193F5643103FF0CE153F055B463F40014F3F3FB3D43E46A02A3E5F80D43EF1AD003FECD1033F0000803FA388723F32EAFF3EA06A773E46FAE53E5948033F3333BA3E916B083F48FA453FE053CC3E1DEAA13E2A202E3F58CE1F3FAA69A93E6F861C3FD2B0453FA2FF133F08BEAC3EA12C463FE006283F9F61C13EF19C103F3AA14E3FDDE4243FCB9FC53D5310C63E8224C73ED00B4C3EDBA0973E491C0C3F4089933E',X'95CB58067DD0A7D9');
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
, born INTEGER NOT NULL DEFAULT 1, log TEXT, checksum BLOB, worked REAL NOT NULL DEFAULT 0, resumed REAL) STRICT;
INSERT INTO "run" VALUES(1,'real','{"backbones": [{"channels": null, "classes": null, "cut": null, "interpolation": null, "key": "efficientnet_lite0", "layer": null, "mean": null, "resize": null, "score": null, "side": null, "std": null, "tokens": null, "weights": "default"}], "code": [], "curve_steps": 28, "data": "/tmp/v2make/data", "demo": false, "drop_decided": false, "insertion_start": "zero", "labels": null, "limit": null, "margin": null, "methods": ["gradcam"], "metrics": ["average_drop", "average_increase", "deletion", "coherency", "complexity", "adcc", "sparseness"], "pointing_margin": 15, "precision": "fp32", "resize": 224, "road_removal": "rank", "seed": 0, "target": "predicted", "truth": null, "until": null}','d786331b960595a9bc2f1944ea9d9c191ea81f2d3e530cee3cc8f226b64f1e05',2,'complete','',1.79557688253539156917e+09,1.79557688254197621345e+09,1.79557690477063941958e+09,1.79557690477342343326e+09,29202,'vm','{"camtui": "0.2.0", "device": "cpu AMD EPYC", "precision": "fp32", "python": "3.11.7", "sqlite": "3.40.1", "threads": "2", "torch": "2.14.1+cu130", "torchvision": "0.29.1+cu130"}',2,NULL,X'B8704EFDF62A96CD',0.0,1.79557688254197621345e+09);
CREATE TABLE stages (
    id INTEGER PRIMARY KEY,
    title TEXT NOT NULL,
    backbone_id INTEGER NOT NULL REFERENCES backbones (id),
    cells TEXT NOT NULL, metrics TEXT NOT NULL,        -- JSON lists
    forwards_per_image REAL NOT NULL,                  -- planned, for the ETA before anything is measured
    seconds REAL NOT NULL DEFAULT 0, timed_images INTEGER NOT NULL DEFAULT 0
, checksum BLOB) STRICT;
INSERT INTO "stages" VALUES(1,'efficientnet_lite0 · Grad-CAM',0,'[1]','[]',2.0,6.43270311997184762731e-01,2,X'1187B19231736CDA');
INSERT INTO "stages" VALUES(2,'efficientnet_lite0 · Grad-CAM · Deletion and Sparseness',0,'[1]','["deletion", "sparseness"]',27.0,4.10261152099701575934e+00,2,X'B4BD57EE11A858F1');
CREATE TABLE sums (                   -- statistics.Sums, committed with the rows that they sum
    cell_id INTEGER NOT NULL REFERENCES cells (id),
    a TEXT NOT NULL, b TEXT NOT NULL, -- (x, '') Σx; (x, x) Σx²; (x, y) Σxy
    n INTEGER NOT NULL,
    total INTEGER NOT NULL,           -- in units of 2^-40
    PRIMARY KEY (cell_id, a, b)
) STRICT, WITHOUT ROWID;
INSERT INTO "sums" VALUES(1,'adcc','',2,895736784987);
INSERT INTO "sums" VALUES(1,'adcc','adcc',2,387892202579);
INSERT INTO "sums" VALUES(1,'average_drop','',2,1630519352124);
INSERT INTO "sums" VALUES(1,'average_drop','average_drop',2,1236563605228);
INSERT INTO "sums" VALUES(1,'average_drop','coherency',2,1510537519969);
INSERT INTO "sums" VALUES(1,'average_drop','complexity',2,814537383093);
INSERT INTO "sums" VALUES(1,'average_increase','',2,0);
INSERT INTO "sums" VALUES(1,'average_increase','average_increase',2,0);
INSERT INTO "sums" VALUES(1,'coherency','',2,2048061358804);
INSERT INTO "sums" VALUES(1,'coherency','coherency',2,1909811457856);
INSERT INTO "sums" VALUES(1,'coherency','complexity',2,1034813733591);
INSERT INTO "sums" VALUES(1,'complexity','',2,1108723010581);
INSERT INTO "sums" VALUES(1,'complexity','complexity',2,561074196397);
INSERT INTO "sums" VALUES(1,'degenerate','',2,0);
INSERT INTO "sums" VALUES(1,'deletion','',2,91813803577);
INSERT INTO "sums" VALUES(1,'deletion','deletion',2,4432636637);
INSERT INTO "sums" VALUES(1,'sparseness','',2,476734377906);
INSERT INTO "sums" VALUES(1,'sparseness','sparseness',2,103684397678);
CREATE TABLE workers (
    id INTEGER PRIMARY KEY,
    device TEXT NOT NULL, pid INTEGER NOT NULL, state TEXT NOT NULL, heartbeat REAL NOT NULL, restarts INTEGER NOT NULL,
    utilisation REAL, memory_used INTEGER, memory_total INTEGER, power REAL, temperature REAL
, checksum BLOB) STRICT;
INSERT INTO "workers" VALUES(1,'cpu',0,'ended',1.79557690477061223984e+09,0,2.01185042582773263583e+01,883109888,25276502016,NULL,NULL,X'C20613350E7D5219');
CREATE INDEX results_by_adcc ON results (cell_id, adcc, image_id);
COMMIT;
