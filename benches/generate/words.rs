//! What the generated text is made of.
//!
//! Out: tables of words. Some hold letters beyond ASCII, as real logs do.

/// (country, city, latitude, longitude in 1/10,000 degree), the common ones first.
pub const PLACES: [(&str, &str, i64, i64); 32] = [
    ("US", "Ashburn", 390_438, -774_874),
    ("DE", "Frankfurt am Main", 501_109, 86_821),
    ("US", "San José", 373_382, -1_218_863),
    ("IN", "Mumbai", 190_760, 728_777),
    ("BR", "São Paulo", -235_505, -466_333),
    ("GB", "London", 515_074, -1_278),
    ("JP", "東京", 356_762, 1_396_503),
    ("FR", "Paris", 488_566, 23_522),
    ("NG", "Lagos", 65_244, 33_792),
    ("CH", "Zürich", 473_769, 85_417),
    ("PL", "Kraków", 500_647, 199_450),
    ("ID", "Jakarta", -62_088, 1_068_456),
    ("CA", "Montréal", 455_017, -735_673),
    ("NL", "Amsterdam", 523_676, 49_041),
    ("TR", "İstanbul", 410_082, 289_784),
    ("KR", "서울", 375_665, 1_269_780),
    ("ES", "Málaga", 367_213, -44_214),
    ("SE", "Göteborg", 577_089, 119_746),
    ("CL", "Valparaíso", -330_472, -716_127),
    ("AU", "Sydney", -338_688, 1_512_093),
    ("ZA", "Cape Town", -339_249, 184_241),
    ("IT", "Milano", 454_642, 91_900),
    ("MX", "Ciudad de México", 194_326, -991_332),
    ("EG", "القاهرة", 300_444, 312_357),
    ("FI", "Jyväskylä", 622_426, 257_473),
    ("CZ", "Plzeň", 497_384, 133_736),
    ("VN", "Đà Nẵng", 160_544, 1_082_022),
    ("IS", "Reykjavík", 641_466, -219_426),
    ("AR", "Córdoba", -314_201, -641_888),
    ("GR", "Αθήνα", 379_838, 237_275),
    ("NO", "Tromsø", 696_492, 189_553),
    ("NZ", "Whangārei", -357_251, 1_743_237),
];

/// First halves of user names; with [`LAST`] and a number they give 131,071 users.
pub const FIRST: [&str; 32] = [
    "ada", "amara", "anton", "bea", "boris", "carla", "chidi", "dara", "elif", "emil", "fatima",
    "goran", "hana", "ines", "ivo", "jonas", "kofi", "lena", "luis", "mara", "mei", "nadia",
    "nils", "olga", "omar", "petra", "quinn", "rosa", "samir", "tilda", "vera", "yusuf",
];

/// Second halves of user names.
pub const LAST: [&str; 32] = [
    "abt", "baker", "costa", "diaz", "endo", "ferro", "gruber", "haddad", "ito", "jansen", "kaya",
    "lund", "meyer", "novak", "okafor", "patel", "quist", "rossi", "sato", "thiam", "ueda",
    "varga", "weiss", "xu", "yilmaz", "zeman", "blum", "chen", "dubois", "evans", "fuchs", "gomez",
];

/// Browsers and tools; with [`SYSTEMS`] they give the user agents.
pub const BROWSERS: [&str; 7] = [
    "Chrome/131.0.0.0 Safari/537.36",
    "Version/17.6 Safari/605.1.15",
    "Firefox/133.0",
    "Edg/130.0.0.0",
    "Chrome/129.0.0.0 Mobile",
    "Firefox/128.0",
    "shopbot/2.4 (+https://bots.example/about)",
];

/// Operating systems, as user agents name them.
pub const SYSTEMS: [&str; 6] = [
    "Windows NT 10.0; Win64",
    "Macintosh; Mac OS X 10_15_7",
    "X11; Linux x86_64",
    "Linux; Android 14; Pixel 8",
    "iPhone; iPhone OS 17_6",
    "X11; Ubuntu; rv:133.0",
];

/// Things a path names.
pub const RESOURCES: [&str; 16] = [
    "orders",
    "items",
    "users",
    "carts",
    "invoices",
    "search",
    "sessions",
    "reports",
    "images",
    "prices",
    "stock",
    "reviews",
    "coupons",
    "shipments",
    "returns",
    "webhooks",
];

/// Services that talk to one another in messages.
pub const SERVICES: [&str; 12] = [
    "auth",
    "billing",
    "cart",
    "catalog",
    "gateway",
    "ledger",
    "mailer",
    "pricing",
    "search",
    "sessions",
    "stock",
    "thumbnails",
];

/// What is done to a service, in messages.
pub const DOINGS: [&str; 16] = [
    "accepted",
    "answered",
    "cached",
    "closed",
    "deferred",
    "delivered",
    "expired",
    "forwarded",
    "indexed",
    "locked",
    "merged",
    "queued",
    "refreshed",
    "released",
    "retried",
    "skipped",
];

/// Labels of a line.
pub const TAGS: [&str; 20] = [
    "api",
    "batch",
    "beta",
    "bot",
    "cache-hit",
    "cache-miss",
    "canary",
    "checkout",
    "eu",
    "mobile",
    "new-user",
    "partner",
    "premium",
    "replica",
    "retry",
    "slow",
    "ssl",
    "us",
    "v2",
    "web",
];

/// Why a request failed.
pub const ERRORS: [&str; 8] = [
    "connection reset by peer",
    "deadline exceeded",
    "no healthy upstream",
    "permission denied",
    "quota exceeded for tenant \\\"basic\\\"",
    "r\\u00e9ponse inattendue du serveur",
    "schema mismatch:\\n  expected int\\n  found string",
    "too many open files",
];
