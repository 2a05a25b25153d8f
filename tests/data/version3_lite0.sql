PRAGMA application_id=1128353108;
PRAGMA user_version=3;
BEGIN TRANSACTION;
CREATE TABLE backbones (
    id INTEGER PRIMARY KEY,           -- position in the plan
    name TEXT NOT NULL UNIQUE,
    loaded TEXT                       -- JSON, records.LoadedBackbone; NULL until it has been loaded
, checksum BLOB) STRICT;
INSERT INTO "backbones" VALUES(0,'efficientnet_lite0:layer=_blocks.14','{"key": "efficientnet_lite0", "weights": "efficientnet-lite0-57934424.pth", "sha256": "2b2a0cb3362633f6606e5cc8fc2014391c9a073a7b2e0bc190673c5ab8c4c671", "layer": "_blocks.14", "channels": 192, "height": 7, "width": 7, "gap_linear": false, "classes": ["tench", "goldfish", "great white shark", "tiger shark", "hammerhead", "electric ray", "stingray", "cock", "hen", "ostrich", "brambling", "goldfinch", "house finch", "junco", "indigo bunting", "robin", "bulbul", "jay", "magpie", "chickadee", "water ouzel", "kite", "bald eagle", "vulture", "great grey owl", "European fire salamander", "common newt", "eft", "spotted salamander", "axolotl", "bullfrog", "tree frog", "tailed frog", "loggerhead", "leatherback turtle", "mud turtle", "terrapin", "box turtle", "banded gecko", "common iguana", "American chameleon", "whiptail", "agama", "frilled lizard", "alligator lizard", "Gila monster", "green lizard", "African chameleon", "Komodo dragon", "African crocodile", "American alligator", "triceratops", "thunder snake", "ringneck snake", "hognose snake", "green snake", "king snake", "garter snake", "water snake", "vine snake", "night snake", "boa constrictor", "rock python", "Indian cobra", "green mamba", "sea snake", "horned viper", "diamondback", "sidewinder", "trilobite", "harvestman", "scorpion", "black and gold garden spider", "barn spider", "garden spider", "black widow", "tarantula", "wolf spider", "tick", "centipede", "black grouse", "ptarmigan", "ruffed grouse", "prairie chicken", "peacock", "quail", "partridge", "African grey", "macaw", "sulphur-crested cockatoo", "lorikeet", "coucal", "bee eater", "hornbill", "hummingbird", "jacamar", "toucan", "drake", "red-breasted merganser", "goose", "black swan", "tusker", "echidna", "platypus", "wallaby", "koala", "wombat", "jellyfish", "sea anemone", "brain coral", "flatworm", "nematode", "conch", "snail", "slug", "sea slug", "chiton", "chambered nautilus", "Dungeness crab", "rock crab", "fiddler crab", "king crab", "American lobster", "spiny lobster", "crayfish", "hermit crab", "isopod", "white stork", "black stork", "spoonbill", "flamingo", "little blue heron", "American egret", "bittern", "crane bird", "limpkin", "European gallinule", "American coot", "bustard", "ruddy turnstone", "red-backed sandpiper", "redshank", "dowitcher", "oystercatcher", "pelican", "king penguin", "albatross", "grey whale", "killer whale", "dugong", "sea lion", "Chihuahua", "Japanese spaniel", "Maltese dog", "Pekinese", "Shih-Tzu", "Blenheim spaniel", "papillon", "toy terrier", "Rhodesian ridgeback", "Afghan hound", "basset", "beagle", "bloodhound", "bluetick", "black-and-tan coonhound", "Walker hound", "English foxhound", "redbone", "borzoi", "Irish wolfhound", "Italian greyhound", "whippet", "Ibizan hound", "Norwegian elkhound", "otterhound", "Saluki", "Scottish deerhound", "Weimaraner", "Staffordshire bullterrier", "American Staffordshire terrier", "Bedlington terrier", "Border terrier", "Kerry blue terrier", "Irish terrier", "Norfolk terrier", "Norwich terrier", "Yorkshire terrier", "wire-haired fox terrier", "Lakeland terrier", "Sealyham terrier", "Airedale", "cairn", "Australian terrier", "Dandie Dinmont", "Boston bull", "miniature schnauzer", "giant schnauzer", "standard schnauzer", "Scotch terrier", "Tibetan terrier", "silky terrier", "soft-coated wheaten terrier", "West Highland white terrier", "Lhasa", "flat-coated retriever", "curly-coated retriever", "golden retriever", "Labrador retriever", "Chesapeake Bay retriever", "German short-haired pointer", "vizsla", "English setter", "Irish setter", "Gordon setter", "Brittany spaniel", "clumber", "English springer", "Welsh springer spaniel", "cocker spaniel", "Sussex spaniel", "Irish water spaniel", "kuvasz", "schipperke", "groenendael", "malinois", "briard", "kelpie", "komondor", "Old English sheepdog", "Shetland sheepdog", "collie", "Border collie", "Bouvier des Flandres", "Rottweiler", "German shepherd", "Doberman", "miniature pinscher", "Greater Swiss Mountain dog", "Bernese mountain dog", "Appenzeller", "EntleBucher", "boxer", "bull mastiff", "Tibetan mastiff", "French bulldog", "Great Dane", "Saint Bernard", "Eskimo dog", "malamute", "Siberian husky", "dalmatian", "affenpinscher", "basenji", "pug", "Leonberg", "Newfoundland", "Great Pyrenees", "Samoyed", "Pomeranian", "chow", "keeshond", "Brabancon griffon", "Pembroke", "Cardigan", "toy poodle", "miniature poodle", "standard poodle", "Mexican hairless", "timber wolf", "white wolf", "red wolf", "coyote", "dingo", "dhole", "African hunting dog", "hyena", "red fox", "kit fox", "Arctic fox", "grey fox", "tabby", "tiger cat", "Persian cat", "Siamese cat", "Egyptian cat", "cougar", "lynx", "leopard", "snow leopard", "jaguar", "lion", "tiger", "cheetah", "brown bear", "American black bear", "ice bear", "sloth bear", "mongoose", "meerkat", "tiger beetle", "ladybug", "ground beetle", "long-horned beetle", "leaf beetle", "dung beetle", "rhinoceros beetle", "weevil", "fly", "bee", "ant", "grasshopper", "cricket", "walking stick", "cockroach", "mantis", "cicada", "leafhopper", "lacewing", "dragonfly", "damselfly", "admiral", "ringlet", "monarch", "cabbage butterfly", "sulphur butterfly", "lycaenid", "starfish", "sea urchin", "sea cucumber", "wood rabbit", "hare", "Angora", "hamster", "porcupine", "fox squirrel", "marmot", "beaver", "guinea pig", "sorrel", "zebra", "hog", "wild boar", "warthog", "hippopotamus", "ox", "water buffalo", "bison", "ram", "bighorn", "ibex", "hartebeest", "impala", "gazelle", "Arabian camel", "llama", "weasel", "mink", "polecat", "black-footed ferret", "otter", "skunk", "badger", "armadillo", "three-toed sloth", "orangutan", "gorilla", "chimpanzee", "gibbon", "siamang", "guenon", "patas", "baboon", "macaque", "langur", "colobus", "proboscis monkey", "marmoset", "capuchin", "howler monkey", "titi", "spider monkey", "squirrel monkey", "Madagascar cat", "indri", "Indian elephant", "African elephant", "lesser panda", "giant panda", "barracouta", "eel", "coho", "rock beauty", "anemone fish", "sturgeon", "gar", "lionfish", "puffer", "abacus", "abaya", "academic gown", "accordion", "acoustic guitar", "aircraft carrier", "airliner", "airship", "altar", "ambulance", "amphibian", "analog clock", "apiary", "apron", "ashcan", "assault rifle", "backpack", "bakery", "balance beam", "balloon", "ballpoint", "Band Aid", "banjo", "bannister", "barbell", "barber chair", "barbershop", "barn", "barometer", "barrel", "barrow", "baseball", "basketball", "bassinet", "bassoon", "bathing cap", "bath towel", "bathtub", "beach wagon", "beacon", "beaker", "bearskin", "beer bottle", "beer glass", "bell cote", "bib", "bicycle-built-for-two", "bikini", "binder", "binoculars", "birdhouse", "boathouse", "bobsled", "bolo tie", "bonnet", "bookcase", "bookshop", "bottlecap", "bow", "bow tie", "brass", "brassiere", "breakwater", "breastplate", "broom", "bucket", "buckle", "bulletproof vest", "bullet train", "butcher shop", "cab", "caldron", "candle", "cannon", "canoe", "can opener", "cardigan", "car mirror", "carousel", "carpenter''s kit", "carton", "car wheel", "cash machine", "cassette", "cassette player", "castle", "catamaran", "CD player", "cello", "cellular telephone", "chain", "chainlink fence", "chain mail", "chain saw", "chest", "chiffonier", "chime", "china cabinet", "Christmas stocking", "church", "cinema", "cleaver", "cliff dwelling", "cloak", "clog", "cocktail shaker", "coffee mug", "coffeepot", "coil", "combination lock", "computer keyboard", "confectionery", "container ship", "convertible", "corkscrew", "cornet", "cowboy boot", "cowboy hat", "cradle", "crane", "crash helmet", "crate", "crib", "Crock Pot", "croquet ball", "crutch", "cuirass", "dam", "desk", "desktop computer", "dial telephone", "diaper", "digital clock", "digital watch", "dining table", "dishrag", "dishwasher", "disk brake", "dock", "dogsled", "dome", "doormat", "drilling platform", "drum", "drumstick", "dumbbell", "Dutch oven", "electric fan", "electric guitar", "electric locomotive", "entertainment center", "envelope", "espresso maker", "face powder", "feather boa", "file", "fireboat", "fire engine", "fire screen", "flagpole", "flute", "folding chair", "football helmet", "forklift", "fountain", "fountain pen", "four-poster", "freight car", "French horn", "frying pan", "fur coat", "garbage truck", "gasmask", "gas pump", "goblet", "go-kart", "golf ball", "golfcart", "gondola", "gong", "gown", "grand piano", "greenhouse", "grille", "grocery store", "guillotine", "hair slide", "hair spray", "half track", "hammer", "hamper", "hand blower", "hand-held computer", "handkerchief", "hard disc", "harmonica", "harp", "harvester", "hatchet", "holster", "home theater", "honeycomb", "hook", "hoopskirt", "horizontal bar", "horse cart", "hourglass", "iPod", "iron", "jack-o''-lantern", "jean", "jeep", "jersey", "jigsaw puzzle", "jinrikisha", "joystick", "kimono", "knee pad", "knot", "lab coat", "ladle", "lampshade", "laptop", "lawn mower", "lens cap", "letter opener", "library", "lifeboat", "lighter", "limousine", "liner", "lipstick", "Loafer", "lotion", "loudspeaker", "loupe", "lumbermill", "magnetic compass", "mailbag", "mailbox", "maillot", "maillot tank suit", "manhole cover", "maraca", "marimba", "mask", "matchstick", "maypole", "maze", "measuring cup", "medicine chest", "megalith", "microphone", "microwave", "military uniform", "milk can", "minibus", "miniskirt", "minivan", "missile", "mitten", "mixing bowl", "mobile home", "Model T", "modem", "monastery", "monitor", "moped", "mortar", "mortarboard", "mosque", "mosquito net", "motor scooter", "mountain bike", "mountain tent", "mouse", "mousetrap", "moving van", "muzzle", "nail", "neck brace", "necklace", "nipple", "notebook", "obelisk", "oboe", "ocarina", "odometer", "oil filter", "organ", "oscilloscope", "overskirt", "oxcart", "oxygen mask", "packet", "paddle", "paddlewheel", "padlock", "paintbrush", "pajama", "palace", "panpipe", "paper towel", "parachute", "parallel bars", "park bench", "parking meter", "passenger car", "patio", "pay-phone", "pedestal", "pencil box", "pencil sharpener", "perfume", "Petri dish", "photocopier", "pick", "pickelhaube", "picket fence", "pickup", "pier", "piggy bank", "pill bottle", "pillow", "ping-pong ball", "pinwheel", "pirate", "pitcher", "plane", "planetarium", "plastic bag", "plate rack", "plow", "plunger", "Polaroid camera", "pole", "police van", "poncho", "pool table", "pop bottle", "pot", "potter''s wheel", "power drill", "prayer rug", "printer", "prison", "projectile", "projector", "puck", "punching bag", "purse", "quill", "quilt", "racer", "racket", "radiator", "radio", "radio telescope", "rain barrel", "recreational vehicle", "reel", "reflex camera", "refrigerator", "remote control", "restaurant", "revolver", "rifle", "rocking chair", "rotisserie", "rubber eraser", "rugby ball", "rule", "running shoe", "safe", "safety pin", "saltshaker", "sandal", "sarong", "sax", "scabbard", "scale", "school bus", "schooner", "scoreboard", "screen", "screw", "screwdriver", "seat belt", "sewing machine", "shield", "shoe shop", "shoji", "shopping basket", "shopping cart", "shovel", "shower cap", "shower curtain", "ski", "ski mask", "sleeping bag", "slide rule", "sliding door", "slot", "snorkel", "snowmobile", "snowplow", "soap dispenser", "soccer ball", "sock", "solar dish", "sombrero", "soup bowl", "space bar", "space heater", "space shuttle", "spatula", "speedboat", "spider web", "spindle", "sports car", "spotlight", "stage", "steam locomotive", "steel arch bridge", "steel drum", "stethoscope", "stole", "stone wall", "stopwatch", "stove", "strainer", "streetcar", "stretcher", "studio couch", "stupa", "submarine", "suit", "sundial", "sunglass", "sunglasses", "sunscreen", "suspension bridge", "swab", "sweatshirt", "swimming trunks", "swing", "switch", "syringe", "table lamp", "tank", "tape player", "teapot", "teddy", "television", "tennis ball", "thatch", "theater curtain", "thimble", "thresher", "throne", "tile roof", "toaster", "tobacco shop", "toilet seat", "torch", "totem pole", "tow truck", "toyshop", "tractor", "trailer truck", "tray", "trench coat", "tricycle", "trimaran", "tripod", "triumphal arch", "trolleybus", "trombone", "tub", "turnstile", "typewriter keyboard", "umbrella", "unicycle", "upright", "vacuum", "vase", "vault", "velvet", "vending machine", "vestment", "viaduct", "violin", "volleyball", "waffle iron", "wall clock", "wallet", "wardrobe", "warplane", "washbasin", "washer", "water bottle", "water jug", "water tower", "whiskey jug", "whistle", "wig", "window screen", "window shade", "Windsor tie", "wine bottle", "wing", "wok", "wooden spoon", "wool", "worm fence", "wreck", "yawl", "yurt", "web site", "comic book", "crossword puzzle", "street sign", "traffic light", "book jacket", "menu", "plate", "guacamole", "consomme", "hot pot", "trifle", "ice cream", "ice lolly", "French loaf", "bagel", "pretzel", "cheeseburger", "hotdog", "mashed potato", "head cabbage", "broccoli", "cauliflower", "zucchini", "spaghetti squash", "acorn squash", "butternut squash", "cucumber", "artichoke", "bell pepper", "cardoon", "mushroom", "Granny Smith", "strawberry", "orange", "lemon", "fig", "pineapple", "banana", "jackfruit", "custard apple", "pomegranate", "hay", "carbonara", "chocolate sauce", "dough", "meat loaf", "pizza", "potpie", "burrito", "red wine", "espresso", "cup", "eggnog", "alp", "bubble", "cliff", "coral reef", "geyser", "lakeside", "promontory", "sandbar", "seashore", "valley", "volcano", "ballplayer", "groom", "scuba diver", "rapeseed", "daisy", "yellow lady''s slipper", "corn", "acorn", "hip", "buckeye", "coral fungus", "agaric", "gyromitra", "stinkhorn", "earthstar", "hen-of-the-woods", "bolete", "ear", "toilet tissue"], "preprocessing": {"side": 224, "resize": 224, "interpolation": "bilinear", "mean": [0.4980392156862745, 0.4980392156862745, 0.4980392156862745], "std": [0.5019607843137255, 0.5019607843137255, 0.5019607843137255], "channels": 3}, "class_count": 1000, "score": "softmax", "cut": "graph", "tokens": null, "source": "", "attention": 0}',X'05D670E9EE0BD020');
CREATE TABLE cells (
    id INTEGER PRIMARY KEY,
    backbone_id INTEGER NOT NULL REFERENCES backbones (id),
    method TEXT NOT NULL,             -- spec: key and options that differ from the defaults
    identity TEXT,                    -- plan.cell_identity, known once the backbone is loaded
    applicable INTEGER NOT NULL DEFAULT 1,
    note TEXT NOT NULL DEFAULT '', checksum BLOB,
    UNIQUE (backbone_id, method)
) STRICT;
INSERT INTO "cells" VALUES(1,0,'smoothgradcampp:variant=paper','012359b76a166ca877ccccca43f95334cddc309a19fc4540b6c89c2b6c1cf2b7',1,'',X'40A80D35A7AA4B79');
CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    time REAL NOT NULL, level TEXT NOT NULL, text TEXT NOT NULL
, checksum BLOB) STRICT;
INSERT INTO "events" VALUES(1,1.79593582598564386362e+09,'info','loaded efficientnet_lite0:layer=_blocks.14: efficientnet-lite0-57934424.pth, _blocks.14 192×7×7',X'5B79C1F772958C09');
INSERT INTO "events" VALUES(2,1.7959358260037329197e+09,'info','labels: 0 of 1 image: a flat folder: --labels FILE.csv gives them',X'7A4EBD4E4A8A8E74');
INSERT INTO "events" VALUES(3,1.79593582605192589761e+09,'info','started: 1 image, 1 backbone × 1 method = 1 cell',X'5F33C54AB12E37DA');
INSERT INTO "events" VALUES(4,1.79593582788374161725e+09,'info','finished: efficientnet_lite0:layer=_blocks.14 · Smooth Grad-CAM++',X'948070DB2D3B1753');
INSERT INTO "events" VALUES(5,1.79593583473176264756e+09,'info','finished: efficientnet_lite0:layer=_blocks.14 · Smooth Grad-CAM++ · Insertion and ARCC and ROAD',X'2C28AE2B6BB2EB79');
INSERT INTO "events" VALUES(6,1.79593583533566522603e+09,'info','complete',X'37724B39122AB171');
CREATE TABLE failures (
    cell_id INTEGER NOT NULL REFERENCES cells (id),
    image_id INTEGER NOT NULL REFERENCES images (id),
    metric TEXT NOT NULL,             -- '' for the row itself
    reason TEXT NOT NULL, detail TEXT NOT NULL, time REAL NOT NULL, checksum BLOB,
    PRIMARY KEY (cell_id, image_id, metric)
) STRICT, WITHOUT ROWID;
CREATE TABLE histograms (             -- 20 equal bins, committed with the rows that they count
    cell_id INTEGER NOT NULL REFERENCES cells (id),
    metric TEXT NOT NULL, bin INTEGER NOT NULL, n INTEGER NOT NULL,
    PRIMARY KEY (cell_id, metric, bin)
) STRICT, WITHOUT ROWID;
INSERT INTO "histograms" VALUES(1,'adcc',11,1);
INSERT INTO "histograms" VALUES(1,'arcc',5,1);
INSERT INTO "histograms" VALUES(1,'average_drop',10,1);
INSERT INTO "histograms" VALUES(1,'average_increase',0,1);
INSERT INTO "histograms" VALUES(1,'coherency',12,1);
INSERT INTO "histograms" VALUES(1,'complexity',7,1);
INSERT INTO "histograms" VALUES(1,'insertion',2,1);
INSERT INTO "histograms" VALUES(1,'road',11,1);
CREATE TABLE images (
    id INTEGER PRIMARY KEY,           -- rank in the seeded shuffle, from 0
    path BLOB NOT NULL UNIQUE,        -- bytes, relative to the data root
    size INTEGER NOT NULL,
    label INTEGER                     -- class index, NULL where unknown
, content BLOB, checksum BLOB) STRICT;
INSERT INTO "images" VALUES(0,X'302E70706D',187215,NULL,X'7F5A8D72610F7D6C9432E044550B474D69AE2E277003708D432495E90FA4F102',X'782273FBDA05F0E4');
CREATE TABLE looks (                  -- decision of the plan's rule; the driver works it out anew
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
    curve BLOB NOT NULL, checksum BLOB,              -- S + 1 points, float16 little-endian; or empty
    PRIMARY KEY (cell_id, metric, image_id)
) STRICT, WITHOUT ROWID;
INSERT INTO "measurements" VALUES(1,'arcc',0,2.65799736608916314928e-01,X'',X'6EB2359681893C76');
INSERT INTO "measurements" VALUES(1,'insertion',0,1.02085418741338890269e-01,X'C61C4A1CD81EF421AE23CD265C270527B4279E253B2673261128A129672A682CD62C102E852FE62E2D318433863450341E34AC33A533AD33A033',X'344EDB825125F9FA');
INSERT INTO "measurements" VALUES(1,'road',0,6.1636436550490787678e-02,X'',X'22F88773D26A4D9D');
CREATE TABLE results (
    cell_id INTEGER NOT NULL REFERENCES cells (id),
    image_id INTEGER NOT NULL REFERENCES images (id),
    target INTEGER NOT NULL, predicted INTEGER NOT NULL,
    y REAL NOT NULL, o REAL NOT NULL,
    average_drop REAL, average_increase REAL NOT NULL,
    coherency REAL NOT NULL, complexity REAL NOT NULL, adcc REAL,
    degenerate INTEGER NOT NULL,
    map BLOB, checksum BLOB,                         -- float32 little-endian, h × w; NULL for a fixed map
    PRIMARY KEY (cell_id, image_id)
) STRICT, WITHOUT ROWID;
INSERT INTO "results" VALUES(1,0,549,549,2.38337206533952877807e-01,1.14562157747867099377e-01,5.19327429343068636136e-01,0.0,6.24247095509521399137e-01,3.64142066437979083914e-01,5.70882006225438276558e-01,0,X'83C14A3F0000803F9B05F33E055BCF3E4A9A313F0FBDEE3E7F74A43E8E4C883E860F073FE2E3ED3E7246313E00000000BD1B9C3EF47EFD3E8B95243D0897303EB62F673FF373293F5C98443E4331053E1B08943EBADFA93E5C90113F10361B3F400ABC3EDDF4D53E43CB963E17E6FB3DC8C0793E64441C3E8DA1AD3EF075A23EDA05123FE58AAD3EB5600E3FEDD9743EFC41853E0E7F893EF6FA9C3EBD12663E1E95313ED7FE8F3E503BCC3E936D923EEF956F3E68AE353E6B682C3EFBB4013E7A5B323F',X'AE931B4ADD523E91');
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
INSERT INTO "run" VALUES(1,'real','{"backbones":[{"channels":null,"classes":null,"cut":null,"interpolation":null,"key":"efficientnet_lite0","layer":"_blocks.14","mean":null,"resize":null,"score":null,"side":null,"std":null,"tokens":null,"weights":"default"}],"code":[],"curve_steps":28,"data":"/data","demo":false,"drop_decided":false,"insertion_start":"blur","labels":null,"limit":1,"margin":null,"methods":["smoothgradcampp:variant=paper"],"metrics":["average_drop","average_increase","insertion","coherency","complexity","adcc","arcc","road"],"pointing_margin":15,"precision":"fp32","resize":224,"road_removal":"rank","seed":0,"target":"predicted","truth":null,"until":null}','d786331b960595a9bc2f1944ea9d9c191ea81f2d3e530cee3cc8f226b64f1e05',1,'complete','',1.7959357883840658664e+09,1.79593578838499474525e+09,1.79593583532354140281e+09,1.7959358353435451984e+09,18232,'','{"camtui": "0.2.0", "device": "cpu", "precision": "fp32", "python": "3.11.7", "sqlite": "3.40.1", "threads": "1", "torch": "2.14.1+cu130", "torchvision": "0.29.1+cu130"}',3,'real.db.log',X'EEEB737946A30AC2',0.0,1.79593578838499474525e+09);
CREATE TABLE stages (
    id INTEGER PRIMARY KEY,
    title TEXT NOT NULL,
    backbone_id INTEGER NOT NULL REFERENCES backbones (id),
    cells TEXT NOT NULL, metrics TEXT NOT NULL,        -- JSON lists
    forwards_per_image REAL NOT NULL, -- planned, for the ETA before anything is measured
    seconds REAL NOT NULL DEFAULT 0, timed_images INTEGER NOT NULL DEFAULT 0
, checksum BLOB) STRICT;
INSERT INTO "stages" VALUES(1,'efficientnet_lite0:layer=_blocks.14 · Smooth Grad-CAM++',0,'[1]','[]',10.0,1.75103299599982165091e+00,1,X'E43D04731170B234');
INSERT INTO "stages" VALUES(2,'efficientnet_lite0:layer=_blocks.14 · Smooth Grad-CAM++ · Insertion and ARCC and ROAD',0,'[1]','["insertion", "arcc", "road"]',35.0,6.81532479300017257628e+00,1,X'85B83B7C50ECF9CD');
CREATE TABLE sum_checksums (          -- over all sums, over all histograms of a cell
    cell_id INTEGER PRIMARY KEY REFERENCES cells (id),
    sums BLOB NOT NULL,
    histograms BLOB NOT NULL
) STRICT;
INSERT INTO "sum_checksums" VALUES(1,X'BB19A29748E218C5',X'68C22E5041268D3A');
CREATE TABLE sums (                   -- statistics.Sums, committed with the rows that they sum
    cell_id INTEGER NOT NULL REFERENCES cells (id),
    a TEXT NOT NULL, b TEXT NOT NULL, -- (x, '') Σx; (x, x) Σx²; (x, y) Σxy
    n INTEGER NOT NULL,
    total INTEGER NOT NULL,           -- in units of 2^-40
    PRIMARY KEY (cell_id, a, b)
) STRICT, WITHOUT ROWID;
INSERT INTO "sums" VALUES(1,'adcc','',1,627691403933);
INSERT INTO "sums" VALUES(1,'adcc','adcc',1,358337727968);
INSERT INTO "sums" VALUES(1,'arcc','',1,292249901061);
INSERT INTO "sums" VALUES(1,'arcc','arcc',1,77679946726);
INSERT INTO "sums" VALUES(1,'arcc/coherency','',1,686366940118);
INSERT INTO "sums" VALUES(1,'arcc/coherency','arcc/coherency',1,428462568822);
INSERT INTO "sums" VALUES(1,'arcc/coherency','arcc/road',1,84610424710);
INSERT INTO "sums" VALUES(1,'arcc/coherency','arcc/simplicity',1,436431864209);
INSERT INTO "sums" VALUES(1,'arcc/road','',1,135539957364);
INSERT INTO "sums" VALUES(1,'arcc/road','arcc/road',1,16708399964);
INSERT INTO "sums" VALUES(1,'arcc/simplicity','',1,699133191565);
INSERT INTO "sums" VALUES(1,'arcc/simplicity','arcc/road',1,86184157204);
INSERT INTO "sums" VALUES(1,'arcc/simplicity','arcc/simplicity',1,444549386473);
INSERT INTO "sums" VALUES(1,'average_drop','',1,571006547186);
INSERT INTO "sums" VALUES(1,'average_drop','average_drop',1,296539362288);
INSERT INTO "sums" VALUES(1,'average_drop','coherency',1,356449178598);
INSERT INTO "sums" VALUES(1,'average_drop','complexity',1,207927504042);
INSERT INTO "sums" VALUES(1,'average_increase','',1,0);
INSERT INTO "sums" VALUES(1,'average_increase','average_increase',1,0);
INSERT INTO "sums" VALUES(1,'coherency','',1,686366940118);
INSERT INTO "sums" VALUES(1,'coherency','coherency',1,428462568822);
INSERT INTO "sums" VALUES(1,'coherency','complexity',1,249935075909);
INSERT INTO "sums" VALUES(1,'complexity','',1,400378436211);
INSERT INTO "sums" VALUES(1,'complexity','complexity',1,145794631119);
INSERT INTO "sums" VALUES(1,'degenerate','',1,0);
INSERT INTO "sums" VALUES(1,'insertion','',1,112244104932);
INSERT INTO "sums" VALUES(1,'insertion','insertion',1,11458486453);
INSERT INTO "sums" VALUES(1,'road','',1,67769978682);
INSERT INTO "sums" VALUES(1,'road','road',1,4177099991);
CREATE TABLE workers (
    id INTEGER PRIMARY KEY,
    device TEXT NOT NULL, pid INTEGER NOT NULL, state TEXT NOT NULL,
    heartbeat REAL NOT NULL, restarts INTEGER NOT NULL,
    utilisation REAL, memory_used INTEGER, memory_total INTEGER, power REAL, temperature REAL
, checksum BLOB) STRICT;
INSERT INTO "workers" VALUES(1,'cpu',0,'ended',1.79593583532349801066e+09,0,8.55160371629002113991e+00,1099284480,25276514304,NULL,NULL,X'9E15AE4135D0E3A6');
CREATE INDEX results_by_adcc ON results (cell_id, adcc, image_id);
COMMIT;
