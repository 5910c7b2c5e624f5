//! Checksums of the data files: of the gzip files as their publishers state them, and of the
//! uncompressed content, so that a repacked file is still known for what it is.

/// A digest as lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// MD5, which the older publishers state.
    Md5(&'static str),
    /// SHA-256.
    Sha256(&'static str),
}

use Checksum::{Md5, Sha256};

/// One file of one edition of one set.
#[derive(Clone, Copy, Debug)]
pub struct PublishedFile {
    /// The set's name.
    pub set: &'static str,
    /// The file's name without `.gz`.
    pub name: &'static str,
    /// The edition's name.
    pub edition: &'static str,
    /// Of the gzip file, as published.
    pub gzip: Option<Checksum>,
    /// Of the uncompressed content.
    pub content: Option<Checksum>,
}

const fn file(
    set: &'static str,
    name: &'static str,
    edition: &'static str,
    gzip: Option<Checksum>,
    content: Option<Checksum>,
) -> PublishedFile {
    PublishedFile {
        set,
        name,
        edition,
        gzip,
        content,
    }
}

/// Every file with a known checksum. The content of the NIST training files is not listed: their
/// gzip files are published byte for byte, and that is enough to check them.
#[rustfmt::skip] // one file a line
pub const PUBLISHED: &[PublishedFile] = &[
    file("mnist", "train-images-idx3-ubyte", "original", Some(Md5("f68b3c2dcbeaaa9fbdd348bbdeb94873")), Some(Sha256("ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"))),
    file("mnist", "train-labels-idx1-ubyte", "original", Some(Md5("d53e105ee54ea40749a09fcbcd1e9432")), Some(Sha256("65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"))),
    file("mnist", "t10k-images-idx3-ubyte", "original", Some(Md5("9fb629c4189551a2d022fa330f9573f3")), Some(Sha256("0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"))),
    file("mnist", "t10k-labels-idx1-ubyte", "original", Some(Md5("ec29112dd5afa0611ce80d1b7f02629c")), Some(Sha256("ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"))),
    file("kmnist", "train-images-idx3-ubyte", "original", Some(Md5("bdb82020997e1d708af4cf47b453dcf7")), Some(Sha256("7112ba9ec422d98de4885262d4a4dff14cc4fefb81c11ace8bf563a8255df5c3"))),
    file("kmnist", "train-labels-idx1-ubyte", "original", Some(Md5("e144d726b3acfaa3e44228e80efcd344")), Some(Sha256("2a16eeae62da984b8bd24fa32e31d47291f01dac3fe84d5594f304f71e7d374b"))),
    file("kmnist", "t10k-images-idx3-ubyte", "original", Some(Md5("5c965bf0a639b31b8f53240b1b52f4d7")), Some(Sha256("76fbd229ce87db80dd281af5e6670de4ad0e42fb30a7bd643972994c47c1f42e"))),
    file("kmnist", "t10k-labels-idx1-ubyte", "original", Some(Md5("7320c461ea6c1c855c0b718fb2a4b134")), Some(Sha256("a11dc742be8e781a40a92f53d6a4957e7b7d36df2faa097659131ebfd8fd60c6"))),
    file("emnist-balanced", "emnist-balanced-test-images-idx3-ubyte", "nist-gzip", Some(Sha256("117fc12b015e37ea98bfb2cbba3f77c3782c056cdbd219b87abfc8661d7135db")), None),
    file("emnist-balanced", "emnist-balanced-test-labels-idx1-ubyte", "nist-gzip", Some(Sha256("a67cac948379b67270b9a4d0a01c8ec661598accf2f2b1964340b7c83cb175cd")), None),
    file("emnist-balanced", "emnist-balanced-train-images-idx3-ubyte", "nist-gzip", Some(Sha256("74295e75e4e9fa2c102147460ee7eb763653d5132d883a84fb88932bfb8d2db4")), None),
    file("emnist-balanced", "emnist-balanced-train-labels-idx1-ubyte", "nist-gzip", Some(Sha256("b46d41e5156a0a8aaaa4d18979fdd1588850fa8571018acffd5d93b325a7d6ed")), None),
    file("emnist-byclass", "emnist-byclass-test-images-idx3-ubyte", "nist-gzip", Some(Sha256("5ec835bd5d5b1a66378a132e727fef20fe994b3cc666899befcca5ac766f50cd")), Some(Sha256("385559d7d5c96f49cd6b55b3e9e76d7ecbf568897b6067e8cac8f1ffc2f50f81"))),
    file("emnist-byclass", "emnist-byclass-test-labels-idx1-ubyte", "nist-gzip", Some(Sha256("501e305eeeacb093b162592d80e8a2632040872360fa6d85cfcb2200d91ca92a")), Some(Sha256("842d01413932b3ce7afbc9990376a16f8880a212bb42d66fa2922b4218cf300a"))),
    file("emnist-byclass", "emnist-byclass-train-images-idx3-ubyte", "nist-gzip", Some(Sha256("9e21987f03a6eb8b870187e785883ddad96947299587908f1a7ec2ca0f4be5f0")), None),
    file("emnist-byclass", "emnist-byclass-train-labels-idx1-ubyte", "nist-gzip", Some(Sha256("f7ef403d48dc18a89dae0d83d11ee69cecb6e1c12c3a961d03712e495c02a8fa")), None),
    file("emnist-bymerge", "emnist-bymerge-test-images-idx3-ubyte", "nist-gzip", Some(Sha256("5e5815ec1b522089134435f7c55e75a00960b58414793593ffff23efc0821683")), Some(Sha256("68b2763a83f2661dace0df055282a50f4d4aea3dab401f2a04e2e7e2c5bc8590"))),
    file("emnist-bymerge", "emnist-bymerge-test-labels-idx1-ubyte", "nist-gzip", Some(Sha256("8bda1516255683ba9071e141947ca0c91a911176065cdd6259b0b4d8dc5b5f35")), Some(Sha256("17b8bd69b4e584fa425d7268b1f58882ef4bf7f241a6116fa606bb6d36839b5a"))),
    file("emnist-bymerge", "emnist-bymerge-train-images-idx3-ubyte", "nist-gzip", Some(Sha256("39bf8c68037dad40db35348895f7e4e056e8c0a005ab78869c9fbc2c96e947be")), None),
    file("emnist-bymerge", "emnist-bymerge-train-labels-idx1-ubyte", "nist-gzip", Some(Sha256("2c47293b9e62d6abf6ad05fbf67e40baa32adfd380b8d7b44dcc35534b64e1f1")), None),
    file("emnist-digits", "emnist-digits-test-images-idx3-ubyte", "nist-gzip", Some(Sha256("20ebe43509264f7639d37c835a3f0b009e90b29e00a099a03101abe1644a3f63")), None),
    file("emnist-digits", "emnist-digits-test-labels-idx1-ubyte", "nist-gzip", Some(Sha256("bad1834c45d5988e270b99d43b13edc3fd898f658ffbc2caf2846ef27f7b05b0")), None),
    file("emnist-digits", "emnist-digits-train-images-idx3-ubyte", "nist-gzip", Some(Sha256("f7c95004d14d81af89522e67d8f0c781dfb3bd544181c81bfe1eb6b41c35b726")), None),
    file("emnist-digits", "emnist-digits-train-labels-idx1-ubyte", "nist-gzip", Some(Sha256("6638a6ff5fe2eefd9cca2471995b46c82986b8e4b2a70d2f5ce8e05d7edb319e")), None),
    file("emnist-letters", "emnist-letters-test-images-idx3-ubyte", "nist-gzip", Some(Sha256("50f0e93d75b99b463e9760b8345866f22587fa2c2fba472730a5ba09c693412d")), None),
    file("emnist-letters", "emnist-letters-test-labels-idx1-ubyte", "nist-gzip", Some(Sha256("924955c31fe7fd809b7303b5c0141282955f4b8390c74cdfd5d80435e0f4b4cb")), None),
    file("emnist-letters", "emnist-letters-train-images-idx3-ubyte", "nist-gzip", Some(Sha256("6288f418a917e007bf5fddb823a2dc7a5c6a35031401b93292a539cb12bd881f")), None),
    file("emnist-letters", "emnist-letters-train-labels-idx1-ubyte", "nist-gzip", Some(Sha256("9759af91ea6bccdf07a6040fd085861f2ec88e37f7c3f5760f6feb57106fbe5c")), None),
    file("emnist-mnist", "emnist-mnist-test-images-idx3-ubyte", "nist-gzip", Some(Sha256("b25640fa9e356c618132f5df347c95ef5bae6d9c2596be1de40f7e0ae1c3eac6")), Some(Sha256("0a5442aeabc1ec6cf0a8335d81debf853b46a7570f5d93805a4d6ef8b7281063"))),
    file("emnist-mnist", "emnist-mnist-test-labels-idx1-ubyte", "nist-gzip", Some(Sha256("bcc5385d38f083dba046f5f756e99b32f5ea7fad122c6243c71c2239873065ca")), Some(Sha256("a0ffd2d4ce92418e020d53cf36f2b6c154c4f59344098a5e8d3c6e588109f0a0"))),
    file("emnist-mnist", "emnist-mnist-train-images-idx3-ubyte", "nist-gzip", Some(Sha256("5f9942f441031c0f1f2e4d162059fd6e19ea808b34c328b6d16cab0ed24c78f2")), None),
    file("emnist-mnist", "emnist-mnist-train-labels-idx1-ubyte", "nist-gzip", Some(Sha256("00c6d3c2342fdffb1711e0b5656cac4ce5862d2826399d383a9bac07d612e9f8")), None),
    file("emnist-letters", "emnist-letters-test-images-idx3-ubyte", "csv", None, Some(Sha256("1d86b338cbf52388ca7ab46041a33a94e55b221ff9c3c3097a206e52ce3bfb06"))),
    file("emnist-letters", "emnist-letters-test-labels-idx1-ubyte", "csv", None, Some(Sha256("4118ec990e27517e3d750ebe9b2044792debc6b0dcddc5c4bc58faddbe968bc2"))),
    file("emnist-balanced", "emnist-balanced-test-images-idx3-ubyte", "sixth", None, Some(Sha256("8de1fd89a167bc5dee56628c13cda7e9f444b77d412069a7c2fb97878c929799"))),
    file("emnist-balanced", "emnist-balanced-test-labels-idx1-ubyte", "sixth", None, Some(Sha256("5603d72d5c1ffab99f229e98145b1a0f8b05756163a7b993f2bb78d085689021"))),
    file("emnist-balanced", "emnist-balanced-train-images-idx3-ubyte", "sixth", None, Some(Sha256("e9075e54bf540360f4a1b73a5193b007cb8b777c3b176900f4fd17f752aac6c6"))),
    file("emnist-balanced", "emnist-balanced-train-labels-idx1-ubyte", "sixth", None, Some(Sha256("3bf2698fae034bec55a29dae72a77723edc5a8288e97deaf2f0d82b963580092"))),
    file("emnist-byclass", "emnist-byclass-test-images-idx3-ubyte", "sixth", None, Some(Sha256("f55cf6183539ab8f2031514352ae1fbb4a8fa34a5e89dcfad15bd34e72b58e5f"))),
    file("emnist-byclass", "emnist-byclass-test-labels-idx1-ubyte", "sixth", None, Some(Sha256("590a7b63edbecc60f308ee04958404c43cacbe4118743c56b7168a9c9faaacce"))),
    file("emnist-byclass", "emnist-byclass-train-images-idx3-ubyte", "sixth", None, Some(Sha256("3dee1c179a898d10c716b6bd03af10df2a12e8ef5ce1906e0fed3129bb6e2267"))),
    file("emnist-byclass", "emnist-byclass-train-labels-idx1-ubyte", "sixth", None, Some(Sha256("d0eb9bad7d8eb5ae0af6a6adc3c78b55821ab957c33f8d0390d41b2dfcff5016"))),
    file("emnist-bymerge", "emnist-bymerge-test-images-idx3-ubyte", "sixth", None, Some(Sha256("f201b44c308e0b98b94589dba647ae438cee4b142d2860200ef4325c2a8c0ac3"))),
    file("emnist-bymerge", "emnist-bymerge-test-labels-idx1-ubyte", "sixth", None, Some(Sha256("4d7fdfc9ea8f045d077bf9faa525c4846de80ea17b2aef1307a0c3541f2501f6"))),
    file("emnist-bymerge", "emnist-bymerge-train-images-idx3-ubyte", "sixth", None, Some(Sha256("0514f146ca57d9197ebdb8e61e23e24e0ad9ed5fc652abed28fa589389df7b62"))),
    file("emnist-bymerge", "emnist-bymerge-train-labels-idx1-ubyte", "sixth", None, Some(Sha256("67a7f1667a5fdd1b2b92cd8a1f3715137afdf92e182a69ac166ddef1cc4f9fee"))),
    file("emnist-digits", "emnist-digits-test-images-idx3-ubyte", "sixth", None, Some(Sha256("62329e3101b22517822d250b71fbfc87f1c28210e57dcf161087f8fd0ad52e81"))),
    file("emnist-digits", "emnist-digits-test-labels-idx1-ubyte", "sixth", None, Some(Sha256("c6495c7c1d620519b5fba7c91b128e92b4918d348dc1a95da940bf2c15b8fafb"))),
    file("emnist-digits", "emnist-digits-train-images-idx3-ubyte", "sixth", None, Some(Sha256("cf853c7fbab130f5f11a3cb9b85b0ea723883ad94c897a621105303f565c3de6"))),
    file("emnist-digits", "emnist-digits-train-labels-idx1-ubyte", "sixth", None, Some(Sha256("4ad09a5e74a10d17a3b6dcab1e1eb82c56089a32acda49bd59a1e2e2bf476c83"))),
    file("emnist-letters", "emnist-letters-test-images-idx3-ubyte", "sixth", None, Some(Sha256("5c98837e8c2050ef7c8320e1b2e63da0d6119e6e87f26a914ce1cf3d303947c9"))),
    file("emnist-letters", "emnist-letters-test-labels-idx1-ubyte", "sixth", None, Some(Sha256("ba57855158959a2d51d4bbf660030a5cec360f33f1cae4b8752abaec34cabc29"))),
    file("emnist-letters", "emnist-letters-train-images-idx3-ubyte", "sixth", None, Some(Sha256("a7e1f8d4719584dfc4ff00246a21a232aa78aa4a043d7e8ecb4912a73f7e21d9"))),
    file("emnist-letters", "emnist-letters-train-labels-idx1-ubyte", "sixth", None, Some(Sha256("2d6f9c2ea9c7d4095452c6e6dbddc1ce55dce42206db0e6b8f0a8d7bb4e736b3"))),
];
