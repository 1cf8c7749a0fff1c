// The inventory of both caches, and what leaves them.

import Foundation
import GraftCache
import Testing

private let a = String(repeating: "a", count: 40)
private let b = String(repeating: "b", count: 40)

@Test func quantitiesAreReadAsPeopleWriteThem() throws {
    #expect(try Quantity.bytes("50GB") == 50_000_000_000)
    #expect(try Quantity.bytes("1.5 k") == 1500)
    #expect(try Quantity.bytes("512MiB") == 512 << 20)
    #expect(try Quantity.bytes("7") == 7)
    #expect(try Quantity.seconds("2w") == 14 * 86400)
    #expect(try Quantity.seconds("6mo") == 180 * 86400)
    for text in ["", "GB", "-1", "1 parsec", "9e99GB", "99999999999PB", "1..2"] {
        #expect(throws: CacheError.self) { try Quantity.bytes(text) }
    }
    #expect(throws: CacheError.self) { try Quantity.seconds("3 GB") }
    #expect(Quantity.moment(1_000_000_000) == "2001-09-09T01:46:40Z")
}

@Test func theInventoryHasEverything() throws {
    let fixture = try Fixture()
    try fixture.commit(
        "a", of: "models--acme--tiny", files: ["w.bin": "weights", "x/y.txt": "y"], refs: ["main"])
    try fixture.commit("b", of: "models--acme--tiny", files: ["w.bin": "weights"])
    _ = try fixture.own("https://example.org/w.bin", "other")
    try fixture.write("f", fixture.cache.root + "/features/0123/photo.0.f32")
    try fixture.write("?", fixture.hubRoot + "/stray")

    let inventory = fixture.inventory
    #expect(
        inventory.items.map(\.reference) == [
            "hf://acme/tiny@\(a)", "hf://acme/tiny@\(b)", "https://example.org/w.bin",
            "features/0123",
        ])
    #expect(inventory.items.map(\.byteCount) == [8, 7, 5, 1])
    #expect(inventory.byteCountOnDisk == 8 + 5 + 1)
    #expect(inventory.problems.map(\.id) == ["stray"])
    #expect(inventory.items[0].refs == ["main"])
    for name in [
        "hf://acme/tiny", "model/acme/tiny", "hf://models/acme/tiny", a, "hf://acme/tiny@main",
    ] {
        #expect(inventory.items[0].isNamed(name))
    }
    #expect(!inventory.items[1].isNamed("hf://acme/tiny@main"))
    #expect(inventory.select([a, "nothing"]).missing == ["nothing"])
}

@Test func filtersChoose() throws {
    let fixture = try Fixture()
    try fixture.commit("a", of: "models--acme--tiny", files: ["w": "1234"], refs: ["main"])
    try fixture.commit("a", of: "datasets--acme--data", files: ["w": "12"])
    let items = fixture.inventory.items
    func ids(_ text: String) throws -> [String] {
        let filter = try ItemFilter(text)
        return items.filter { filter.accepts($0) }.map(\.id)
    }
    let (data, tiny) = ("hf://datasets/acme/data", "hf://acme/tiny")
    #expect(try ids("size>2") == [tiny])
    #expect(try ids("size >= 0.002kB") == [data, tiny])
    #expect(try ids("type=dataset") == [data])
    #expect(try ids("type!=dataset") == [tiny])
    #expect(try ids("refs=main") == [tiny])
    #expect(try ids("name=acme/*") == [data, tiny])
    #expect(try ids("modified<1h") == [data, tiny])
    #expect(try ids("accessed>1h").isEmpty)
    #expect(try ids("pinned=false").count == 2)
    for text in ["size", "size~2", "colour=red", "type=cat", "size>", "pinned=maybe", "type>model"]
    {
        #expect(throws: CacheError.self) { try ItemFilter(text) }
    }
}

@Test func removingACommitKeepsWhatOthersNeed() throws {
    let fixture = try Fixture()
    let folder = "models--acme--tiny"
    try fixture.commit("a", of: folder, files: ["w": "shared", "v": "old"], refs: ["v1"])
    try fixture.commit("b", of: folder, files: ["w": "shared", "v": "newer"], refs: ["main"])
    let removal = try Removal(fixture.inventory.select([a]).items, of: fixture.inventory)
    #expect(removal.byteCount == 3)
    #expect(try removal.execute() == 3)
    let left = fixture.inventory
    #expect(left.items.map(\.commit) == [b] && left.problems.isEmpty)
    #expect(left.byteCountOnDisk == 11)
    #expect(!FileManager.default.fileExists(atPath: "\(fixture.hubRoot)/\(folder)/refs/v1"))
    #expect(try Removal(left.items, of: left).execute() == 11)
    #expect(!FileManager.default.fileExists(atPath: "\(fixture.hubRoot)/\(folder)"))
}

@Test func collectingTakesTheLeastRecentlyUsedAndLeavesPins() throws {
    let fixture = try Fixture()
    for name in ["p", "q", "r", "s"] {
        try fixture.commit("a", of: "models--acme--\(name)", files: ["w": name + "23456789"])
    }
    let cache = fixture.cache
    let log = ["s", "p", "r", "q"].enumerated().map { order, name in
        "\(4_000_000_000 + order) \(fixture.hubRoot)/models--acme--\(name)/snapshots/\(a)\n"
    }
    try fixture.write(log.joined(), cache.root + "/usage.log")
    try cache.pin(["hf://acme/s"])
    let removal = Removal.collecting(fixture.inventory, limit: 20)
    #expect(removal.items.map(\.id) == ["hf://acme/p", "hf://acme/r"])
    #expect(removal.byteCount == 18)
    let pinned = fixture.inventory.select(["hf://acme/s"]).items
    #expect(throws: CacheError.pinned(["hf://acme/s@\(a)"])) {
        try Removal(pinned, of: fixture.inventory)
    }
    #expect(try cache.unpin(["hf://acme/s", "x"]) == ["hf://acme/s"])
    #expect(cache.pins().isEmpty)
    #expect(Removal.collecting(fixture.inventory, limit: nil, age: 0).items.isEmpty)
    cache.recordUse(of: "\(fixture.hubRoot)/models--acme--s/snapshots/\(a)/w")
    #expect(Removal.collecting(fixture.inventory, limit: 0).items.count == 4)
}

@Test func verifyingFindsDamage() throws {
    let fixture = try Fixture()
    try fixture.commit("a", of: "models--acme--tiny", files: ["w": "good", "v": "bad"])
    let path = try fixture.own("https://example.org/w.bin", "fine")
    var verification = Verification(fixture.inventory.items, of: fixture.inventory)
    #expect(verification.byteCount == 11)
    verification.run()
    #expect(verification.checks.allSatisfy { $0.outcome == .intact })

    let blob = "\(fixture.hubRoot)/models--acme--tiny/blobs/" + ContentHasher.sha256(of: "bad")
    try fixture.write("BAD", blob)
    try fixture.write("FINE", path)
    verification = Verification(fixture.inventory.items, of: fixture.inventory)
    verification.run()
    let damaged = verification.checks.filter { $0.outcome != .intact }
    #expect(Set(damaged.map(\.path)) == [blob, path])
    #expect(
        damaged.contains {
            $0.outcome
                == .damaged(
                    expected: "sha256:" + ContentHasher.sha256(of: "bad"),
                    found: "sha256:" + ContentHasher.sha256(of: "BAD"))
        })
}

@Test func litterAndDuplicatesGo() throws {
    let fixture = try Fixture()
    let text = String(repeating: "same ", count: 100)
    try fixture.commit("a", of: "models--acme--p", files: ["w": text])
    try fixture.commit("a", of: "models--acme--q", files: ["w": text])
    let own = try fixture.own("https://example.org/w.bin", text)
    let sum = ContentHasher.sha256(of: text)
    try fixture.write("half", "\(fixture.hubRoot)/models--acme--p/blobs/\(sum).01234567.incomplete")
    try fixture.write("lost", "\(fixture.hubRoot)/models--acme--p/blobs/\(a)")
    let litter = Litter(of: fixture.inventory)
    #expect(Set(litter.pieces.map(\.kind)) == [.partial, .blob])
    #expect(try litter.remove() == 8)
    #expect(fixture.cache.file(sha256: sum, byteCount: 500, hub: HubScanner(root: "/none")) == own)
    #expect(
        Cache(root: "/none").file(
            sha256: sum, byteCount: 500, hub: HubScanner(root: fixture.hubRoot)) != nil)
    let duplicates = Duplicates(of: fixture.inventory)
    #expect(duplicates.byteCount == 1000)
    #expect(try duplicates.link() == 1000)
    #expect(Duplicates(of: fixture.inventory).groups.isEmpty)
    #expect(fixture.inventory.byteCountOnDisk == 500)
    // One name less frees nothing, the last one all.
    let inventory = fixture.inventory
    #expect(try Removal(inventory.select(["hf://acme/p"]).items, of: inventory).byteCount == 0)
    #expect(try Removal(inventory.items, of: inventory).execute() == 500)
}

@Test func damageDoesNotSpread() throws {
    let fixture = try Fixture()
    try fixture.commit("a", of: "models--acme--p", files: ["w": "good"])
    try fixture.commit("a", of: "models--acme--q", files: ["w": "good"])
    let sum = ContentHasher.sha256(of: "good")
    try fixture.write("evil", "\(fixture.hubRoot)/models--acme--p/blobs/\(sum)")
    #expect(try Duplicates(of: fixture.inventory).link() == 0)
}

@Test func anAddressThatChangesIsNoticed() throws {
    let fixture = try Fixture()
    let cache = fixture.cache
    let (one, two) = (ContentHasher.sha256(of: "1"), ContentHasher.sha256(of: "2"))
    try cache.compareWithFirstSeen("https://example.org/w", sha256: one, byteCount: 1)
    try cache.compareWithFirstSeen("https://example.org/w", sha256: one, byteCount: 1)
    #expect(throws: CacheError.changed(url: "https://example.org/w", expected: one, found: two)) {
        try cache.compareWithFirstSeen("https://example.org/w", sha256: two, byteCount: 1)
    }
    #expect(cache.forgetFirstSeen("https://example.org/w"))
    try cache.compareWithFirstSeen("https://example.org/w", sha256: two, byteCount: 1)
    #expect(cache.firstSeen("https://example.org/w")?.sha256 == two)
}
