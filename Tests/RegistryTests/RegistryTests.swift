// The registry's files: what they promise, and looking models up.

import GraftArchitectures
import GraftNetworks
import GraftRegistry
import GraftTensors
import Testing

@Suite struct RegistryTests {
    let registry: Registry

    init() throws { registry = try Registry.load() }

    @Test func namesAreUnique() {
        #expect(registry.entries.count > 400)
        #expect(Set(registry.entries.map(\.name)).count == registry.entries.count)
    }

    @Test func everyArchitectureExistsAndHasOneDefault() throws {
        for (name, entries) in Dictionary(grouping: registry.entries, by: \.architecture) {
            _ = try Architectures.named(name)
            let defaults = entries.filter(\.isDefault).count
            #expect(defaults == 1, "\(name)")
        }
    }

    @Test func everyEntryCanBeUsed() throws {
        for entry in registry.entries {
            #expect(["https://", "pypi:", "hf://"].contains { entry.url.hasPrefix($0) })
            #expect(["keras-h5", "torch", "safetensors"].contains(entry.format))
            #expect(["caffe", "tf", "torch", "half", "none"].contains(entry.input.normalization))
            #expect(["squash", "centerCrop"].contains(entry.input.resize))
            #expect((entry.input.resize == "centerCrop") == (entry.input.shorterSide != nil))
            #expect(entry.top == (entry.labels != nil))
            if let digest = entry.digest {
                let parts = digest.split(separator: ":").map(String.init)
                let lengths = ["sha256": 64...64, "md5": 32...32, "sha256-prefix": 8...64]
                #expect(
                    parts.count == 2 && lengths[parts[0]]?.contains(parts[1].utf8.count) == true,
                    "\(digest)")
                let isHex = parts[1].allSatisfy(\.isHexDigit)
                #expect(isHex)
            }
            if let top1 = entry.top1 { #expect((0.3..<1).contains(top1)) }
        }
    }

    @Test func parametersAreThoseOfTheNetworks() throws {
        for entry in registry.entries {
            let graph = try Architectures.named(entry.architecture).graph(top: entry.top)
            #expect(graph.depth == entry.depth, "\(entry.name)")
            // PyTorch's publishers count what learns.
            let all = entry.format == "keras-h5"
            let count = graph.parameters.filter { all || !$0.isBuffer }
                .reduce(0) { $0 + $1.shape.count }
            #expect(count == entry.parameters, "\(entry.name)")
        }
    }

    @Test func findsExactNamesAndDefaults() throws {
        #expect(try registry.find("resnet50:notop").top == false)
        #expect(try registry.find("resnet50").digest == "md5:2cb95161c43110f7111970584f804107")
        #expect(
            try registry.find("torchvision/resnet50").name == "torchvision/resnet50:IMAGENET1K_V2")
        #expect(try registry.find("torchvision/resnet50").input.shorterSide == 232)
        #expect(try registry.find("mobilenet:0.25").name == "mobilenet:0.25-224")
        #expect(registry.entry(forArchitecture: "mobilenet:0.25-128")?.input.height == 128)
        #expect(registry.entry(forArchitecture: "nothing") == nil)
    }

    @Test func suggestsNearNames() throws {
        let error = #expect(throws: RegistryError.self) { try registry.find("resnet5O") }
        #expect(error?.hint?.contains("`resnet50`") == true)
        let far = #expect(throws: RegistryError.self) { try registry.find("completely-different") }
        #expect(far?.hint == "`graft models` lists all")
    }

    @Test func searchesByWords() {
        #expect(registry.search(nil) == registry.entries)
        #expect(registry.search("LITE0").map(\.name) == ["timm/tf_efficientnet_lite0"])
        #expect(registry.search("torchvision resnet50").count == 2 + 2)
        #expect(registry.search("zzz").isEmpty)
    }

    @Test func namesTheClasses() throws {
        let labels = try registry.labels("imagenet")
        #expect(labels.count == 1000)
        #expect(labels[0] == "tench" && labels[999] == "toilet tissue")
        #expect(throws: RegistryError.unknownLabels("../x")) { try registry.labels("../x") }
    }
}
