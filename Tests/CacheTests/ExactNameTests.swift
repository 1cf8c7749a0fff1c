// Names as bytes, sizes that others name, secrets in addresses, locks without `flock`, and plans.

import Foundation
import Testing

@testable import GraftCache

@Test func pathsAreSplitAtBytes() {
    #expect("a/\u{301}b".pathParts == ["a", "\u{301}b"])
    #expect("a/\u{301}b".pathLast == "\u{301}b" && "a/\u{301}b".pathParent == "a")
    #expect("/a//b/".pathParts == ["a", "b"] && "a".pathParent == nil && "/a".pathParent == "")
    #expect(ExactText("\u{E9}") != ExactText("e\u{301}"))
    #expect(RelativePath.conflict(among: ["a", "a/\u{301}b"])?.file == "a")
}

@Test(arguments: [
    "{\"\u{E9}\":1,\"e\u{301}\":2}", #"{"\u00e9":1,"e\u0301":2}"#,
    #"{ "\u00e9" : 1 , "e\u0301":2 }"#,
])
func keysKeepTheirForm(json: String) throws {
    let bytes = JSONKeys.protected(Array(json.utf8))
    let read = try JSONDecoder().decode(ByPath<Int>.self, from: Data(bytes))
    #expect(read.count == 2 && read["\u{E9}"] == 1 && read["e\u{301}"] == 2)
}

@Test(arguments: [
    "a", "\u{E9}", "e\u{301}", "a\"b", "a\\b", "a\tb", "😀", "", "a/b", "\\u00e9", "a\u{0}b", ":",
])
func keysComeBackAsTheyWere(key: String) throws {
    var values = ByPath<[String: String]>()
    values[key] = ["x": "\(key)\": \\"]
    values["other"] = [:]
    let written = JSONKeys.plain(Array(try JSONEncoder().encode(values)))
    let plain = try JSONSerialization.jsonObject(with: Data(written)) as? [String: Any]
    #expect(plain?.count == 2)
    let read = try JSONDecoder().decode(
        ByPath<[String: String]>.self, from: Data(JSONKeys.protected(written)))
    #expect(read.keys == values.keys)
}

@Test func sizesAreReadStrictlyAndAddedSafely() {
    #expect(ByteCount.parsed("0") == 0 && ByteCount.parsed("123") == 123)
    for text in ["", "-1", "+1", " 1", "1 ", "1e3", "0x1", "１", "99999999999999999999999"] {
        #expect(ByteCount.parsed(text) == nil)
    }
    #expect(ByteCount.parsed("\(ByteCount.maximum)") == ByteCount.maximum)
    #expect(ByteCount.parsed("\(ByteCount.maximum + 1)") == nil)
    #expect([Int.max, Int.max, 5].clampedSum == .max && [1, -2, 3].clampedSum == 4)
    #expect([1, 2].checkedSum == 3 && [1, -1].checkedSum == nil)
    #expect([ByteCount.maximum, 1].checkedSum == nil)
}

@Test(arguments: [
    ("https://u:p@h/x", "https://h/x"), ("see `https://u@h/x?a=1`", "see `https://h/x?a=1`"),
    ("https://h/x?id=1&X-Amz-Signature=ab&e=2", "https://h/x?id=1&X-Amz-Signature=***&e=2"),
    ("https://h/x?token=ab#sha256=00", "https://h/x?token=***#sha256=00"),
    ("https://h/x?Sig=1", "https://h/x?Sig=***"), ("https://h/a@b/x", "https://h/a@b/x"),
    ("https://h/x?key=w.h5", "https://h/x?key=w.h5"), ("hf://a/b@main/x", "hf://a/b@main/x"),
    ("http://p:q@one/ and http://r:s@two/", "http://one/ and http://two/"), ("a:b@c", "a:b@c"),
])
func secretsAreMasked(text: String, masked: String) {
    #expect(Secrets.masked(text) == masked)
    #expect(Secrets.masked(masked) == masked)
}

@Test func aBundleWithSizesThatAreNoneIsRefused() throws {
    let fixture = try Fixture()
    for sizes in [[Int.max, Int.max], [ByteCount.maximum, ByteCount.maximum], [-1, 2]] {
        let digests = sizes.indices.map { String(repeating: "\($0)", count: 64) }
        var files = ByPath<BundleManifest.File>()
        for (digest, size) in zip(digests, sizes) {
            files["f" + digest] = BundleManifest.File(etag: "x", sha256: digest, byteCount: size)
        }
        let manifest = BundleManifest(
            repositories: [
                BundleManifest.Repository(
                    kind: .model, id: "a/b", commit: String(repeating: "a", count: 40), refs: [],
                    files: files, tree: nil, used: .min)
            ], files: [],
            contents: zip(digests, sizes).map {
                BundleManifest.Content(sha256: $0, byteCount: $1)
            })
        let path = fixture.root + "/b.tar.zst"
        let writer = try ArchiveWriter(replacing: path)
        try writer.add(
            JSONKeys.plain(Array(try JSONEncoder().encode(manifest))),
            as: BundleManifest.memberName)
        try writer.commit()
        #expect(throws: ArchiveError.self) { try BundleImport(path, cache: fixture.cache) }
    }
}

@Test func aBundleDoesNotOverruleAListing() throws {
    let (one, two) = (try Fixture(), try Fixture())
    try one.commit("a", of: "models--acme--tiny", files: ["w": "1234"], refs: ["main"])
    let bundle = one.root + "/b.tar.zst"
    try BundleExport(one.inventory.items, of: one.inventory).write(to: bundle)
    let commit = String(repeating: "a", count: 40)
    let name = try #require(HubName(.model, "acme/tiny"))
    let hub = HubCache(root: two.hubRoot)
    try TreeListing(files: [
        "w": TreeListing.File(size: 4, blobID: ContentHasher.gitBlob(of: Array("abcd".utf8)))
    ]).write(to: hub.tree(name, commit))
    #expect(throws: ArchiveError.self) {
        try BundleImport(bundle, cache: two.cache, hub: hub).execute()
    }
    #expect(hub.size(name, commit, "w") == nil)
}

@Test func aRefThatIsAFolderIsLeftOut() throws {
    let fixture = try Fixture()
    let hub = HubCache(root: fixture.hubRoot)
    let name = try #require(HubName(.model, "acme/tiny"))
    let commit = String(repeating: "a", count: 40)
    try hub.prepare(name, commit: commit)
    try hub.setCommit(name, "main", commit)
    #expect(hub.canHold(name, "main") && hub.canHold(name, "x/y"))
    #expect(!hub.canHold(name, "main/x"))
    try hub.setCommit(name, "x/y", commit)
    #expect(!hub.canHold(name, "x"))
}

@Test func plansAreKnownByTheirHead() throws {
    let fixture = try Fixture()
    func little(_ value: Int) -> [UInt8] { (0..<8).map { UInt8(value >> (8 * $0) & 255) } }
    let sound = Array("GRAFTPL1".utf8) + little(0) + little(24) + little(128) + little(0)
    let plan = Data(sound + [UInt8](repeating: 0, count: 128 - sound.count))
    try fixture.write("", fixture.cache.root + "/plans/none")
    let path = fixture.cache.root + "/plans/a.plan"
    for (bytes, isSound) in [
        (plan, true), (plan.dropLast(), false), (Data("{}".utf8), false), (plan + [0], false),
        (Data([UInt8](repeating: 0, count: 128)), false), (plan.prefix(20), false),
    ] {
        try bytes.write(to: URL(fileURLWithPath: path))
        var verification = Verification(fixture.inventory.items, of: fixture.inventory)
        verification.run()
        #expect(verification.checks.map { $0.outcome == .intact } == [isSound])
        #expect(Repair(of: fixture.inventory, hashing: true).flaws.isEmpty == isSound)
    }
}

@Test func aSoftLockKeepsOthersOut() throws {
    let fixture = try Fixture()
    let path = fixture.root + "/x.lock"
    do {
        let held = try #require(SoftLock(trying: path))
        #expect(SoftLock(trying: path) == nil)
        #expect(FileLock.isHeld(path))
        withExtendedLifetime(held) {}
    }
    #expect(!FileLock.isHeld(path))
    // Of a process that is gone: nobody has the largest number.
    let boot = try String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8)
    try fixture.write("4194304 \(boot.prefix(36)) 0\n", path + ".owner")
    #expect(SoftLock(trying: path) != nil)
    // Of another machine, and silent for long.
    try fixture.write("1 elsewhere 0\n", path + ".owner")
    #expect(SoftLock(trying: path) == nil)
    let past = [timespec(tv_sec: 1, tv_nsec: 0), timespec(tv_sec: 1, tv_nsec: 0)]
    #expect(utimensat(AT_FDCWD, path + ".owner", past, 0) == 0)
    #expect(SoftLock(trying: path) != nil)
}

/// A slash is a byte: one with a combining mark after it parts folders too.
@Test func foldersAboveAPathArePartedByBytes() {
    #expect(ExactText("a/b/c").foldersAbove == [ExactText("a"), ExactText("a/b")])
    #expect(ExactText("sub/\u{301}w.bin").foldersAbove == [ExactText("sub")])
    #expect(ExactText("w.bin").foldersAbove.isEmpty)
}
