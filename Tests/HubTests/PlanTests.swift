// Every row of the registry leads somewhere: what a fetch of it would ask, and what would prove it.

import Foundation
import GraftCache
import GraftHub
import GraftRegistry
import Testing

@Test func everyRowOfTheRegistryHasAPlan() throws {
    let hub = Hub(offline: true, cache: Cache(root: "/none/graft"))
    let hosts = [
        "https": [
            "https://storage.googleapis.com/", "https://download.pytorch.org/",
            "https://github.com/",
        ], "hf": [], "tfhub": [], "pypi": [],
    ]
    let rows = try Registry.load().entries
    #expect(rows.count >= 2058)
    for row in rows {
        let plan = try hub.plan(row.url, digest: row.digest)
        #expect(!plan.fromCache && plan.path == nil, "\(row.name)")
        #expect(plan.digest == row.digest, "\(row.name)")
        let address = try #require(URL(string: plan.url), "\(row.name)")
        #expect(address.path.count > 1, "\(row.name)")
        switch row.url.prefix(while: { $0 != ":" }) {
        case "https":
            let known = hosts["https"]?.contains { plan.url.hasPrefix($0) } ?? false
            #expect(known, "\(row.name): \(plan.url)")
        case "hf": #expect(plan.url.contains("/resolve/main/"), "\(row.name)")
        case "tfhub": #expect(plan.url.hasSuffix("?tf-hub-format=compressed"), "\(row.name)")
        case "pypi": #expect(plan.url.hasSuffix("/"), "\(row.name)")
        default: Issue.record("\(row.name): \(row.url)")
        }
    }
}

@Test func aPlanIsFoundByName() throws {
    let hub = Hub(cache: Cache(root: "/none/graft"))
    let plan = try hub.plan("resnet50")
    #expect(plan.url.hasSuffix("/resnet/resnet50_weights_tf_dim_ordering_tf_kernels.h5"))
    #expect(plan.digest == "md5:2cb95161c43110f7111970584f804107")
    #expect(throws: (any Error).self) { try hub.plan("resnet5O") }
    #expect(throws: (any Error).self) { try hub.plan("tfhub://x") }
    #expect(throws: (any Error).self) { try hub.plan("http://example.org/x") }
}
