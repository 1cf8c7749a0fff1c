// Names of files in repositories: told apart by bytes, kept in their folder, refused one by one.

import Foundation
import GraftCache
import Testing

@testable import GraftHub

@Test func twinsInTwoNormalFormsAreTwoFiles() async throws {
    let twins = ["\u{E9}.txt", "e\u{301}.txt"]
    let hub = SmallHub(files: [(twins[0], [1]), (twins[1], [2, 2])])
    try await withHub { request, _ in
        hub.answer(request)
    } _: { server, cache, options in
        let library = Hub(cache: cache, options: options)
        let found = try await library.fetchRepository("hf://acme/tiny")
        #expect(found.files.count == 2)
        for (name, size) in zip(twins, [1, 2]) {
            #expect(Files.size(of: "\(found.path)/\(name)") == size)
        }
        // The listing was kept with both: nothing is asked but the branch.
        let before = server.requests.count
        let again = try await library.fetchRepository("hf://acme/tiny")
        #expect(again.files.allSatisfy { $0.fromCache } && server.requests.count == before + 1)
        // So do a lock file and a bundle.
        let locked = try await library.lock("hf://acme/tiny")
        #expect(locked.files.count == 2)
        var lock = LockFile()
        lock.references["hf://acme/tiny"] = locked
        let path = cache.root + "/twins.lock"
        try lock.write(to: path)
        #expect(try LockFile(reading: path) == lock)
        let inventory = Inventory(cache: cache, hub: HubScanner(root: options.hubRoot))
        var verification = Verification(inventory.items, of: inventory)
        verification.run()
        #expect(verification.checks.map(\.outcome) == [.intact, .intact])
        let bundle = cache.root + "/twins.tar.zst"
        try BundleExport(inventory.items, of: inventory).write(to: bundle)
        let other = HubCache(root: cache.root + "/other")
        _ = try BundleImport(bundle, cache: Cache(root: cache.root + "/own2"), hub: other).execute()
        let name = try #require(HubName(.model, "acme/tiny"))
        for (path, size) in zip(twins, [1, 2]) {
            #expect(other.size(name, commitOfTests, path) == size)
        }
    }
}

@Test func aMarkBehindASlashHidesNoFolder() async throws {
    let path = "sub/\u{301}x.txt"
    let hub = SmallHub(files: [(path, [7])])
    try await withHub { request, _ in
        hub.answer(request)
    } _: { _, cache, options in
        let snapshot = "\(options.hubRoot ?? "")/models--acme--tiny/snapshots/\(commitOfTests)"
        let outside = cache.root + "/outside"
        try Files.makeFolder(snapshot)
        try Files.makeFolder(outside)
        #expect(symlink(outside, snapshot + "/sub") == 0)
        let library = Hub(cache: cache, options: options)
        await #expect(throws: (any Error).self) {
            _ = try await library.fetchRepository("hf://acme/tiny")
        }
        #expect(Files.names(in: outside).isEmpty)
        unlink(snapshot + "/sub")
        let found = try await library.fetchRepository("hf://acme/tiny")
        #expect(Files.size(of: "\(found.path)/\(path)") == 1)
    }
}

@Test(arguments: ["a\tb", "a\nb", "n:ote.txt", "../x", "a//b", String(repeating: "x", count: 256)])
func anOddNameRefusesItselfOnly(odd: String) async throws {
    let hub = SmallHub(files: [("ok.txt", [1]), (odd, [2])])
    try await withHub { request, _ in
        hub.answer(request)
    } _: { _, cache, options in
        var wanted = options
        wanted.include = ["ok.txt"]
        let found = try await Hub(cache: cache, options: wanted).fetchRepository("hf://acme/tiny")
        #expect(found.files.map(\.path) == ["ok.txt"])
        let error = await #expect(throws: HubError.self) {
            _ = try await Hub(cache: cache, options: options).fetchRepository("hf://acme/tiny")
        }
        guard case .refusedPath(odd, "hf://acme/tiny", _, more: 0, others: 1, _) = error else {
            Issue.record("expected `\(odd)` to be refused, found \(String(describing: error))")
            return
        }
        #expect(Files.size(of: found.path + "/ok.txt") == 1)
    }
}

@Test func longNamesFitIntoALocalFolder() async throws {
    let name = String(repeating: "n", count: 250) + ".txt"
    let hub = SmallHub(files: [(name, [1])])
    try await withHub { request, _ in
        hub.answer(request)
    } _: { server, cache, options in
        var local = options
        local.localFolder = cache.root + "/local"
        let library = Hub(cache: cache, options: local)
        let found = try await library.fetchRepository("hf://acme/tiny")
        #expect(Files.size(of: "\(found.path)/\(name)") == 1)
        let before = server.requests.count
        _ = try await library.fetchRepository("hf://acme/tiny")
        #expect(server.requests.count == before + 1)
    }
}

/// Addresses of the Hub, and what they mean.
private let pages: [(String, String?)] = [
    ("https://huggingface.co/org/name", "hf://org/name"),
    ("https://huggingface.co/org/name/", "hf://org/name"),
    ("https://hf.co/org/name/tree/main", "hf://org/name"),
    ("https://huggingface.co/org/name/blob/main/a/b.bin", "hf://org/name/a/b.bin"),
    ("https://huggingface.co/org/name/resolve/v1/w.h5?download=true", "hf://org/name@v1/w.h5"),
    ("https://huggingface.co/org/name/tree/refs%2Fpr%2F1/sub", "hf://org/name@refs%2Fpr%2F1/sub/"),
    ("https://huggingface.co/datasets/org/name/blob/main/x%20y", "hf://datasets/org/name/x y"),
    ("https://huggingface.co/bert/resolve/main/w.bin", "hf://bert/w.bin"),
    ("https://huggingface.co/docs/hub", nil),
    ("https://huggingface.co/api/models/org/name", nil),
    ("https://huggingface.co/org", nil),
    ("https://huggingface.co/org/name/discussions/1", nil),
    ("https://huggingface.co/org/name/blob/main/../../x", nil),
    ("https://example.org/org/name/blob/main/x", nil),
    ("https://huggingface.co/o/n/resolve/main/w#sha256=" + String(repeating: "0", count: 64), nil),
]

@Test(arguments: pages) func pagesOfTheHubAreReferences(address: String, reference: String?) {
    #expect(HubPage.reference(address) == reference)
}

@Test func plainNamesAreReferencesWhereNothingElseIsCalledSo() {
    let hub = Hub(offline: true, cache: Cache(root: "/none/graft"))
    #expect(hub.resolved("acme/tiny") == "hf://acme/tiny")
    for other in ["resnet50", "torchvision/resnet50", "models/x.h5", "./a/b", "/a/b", "a/b/c"] {
        #expect(hub.resolved(other) == other)
    }
}
