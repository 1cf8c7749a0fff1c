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
            guard let name else { continue }
            _ = try Architectures.named(name)
            let defaults = entries.filter(\.isDefault).count
            #expect(defaults == 1, "\(name)")
        }
    }

    @Test func everyEntryCanBeUsed() throws {
        let schemes = ["https://", "pypi:", "hf://", "tfhub://"]
        let formats = ["keras-h5", "torch", "safetensors", "saved-model", "tf1-hub"]
        for entry in registry.entries {
            #expect(schemes.contains { entry.url.hasPrefix($0) })
            #expect(formats.contains(entry.format))
            if let input = entry.input {
                let presets = ["caffe", "tf", "torch", "half", "clip", "none"]
                #expect(presets.contains(input.normalization))
                #expect(["squash", "centerCrop"].contains(input.resize))
                #expect((input.resize == "centerCrop") == (input.shorterSide != nil))
            }
            if entry.architecture != nil {
                #expect(entry.input != nil)
                // Towers of CLIP end in a projection; files of 21,000 classes name none.
                #expect(entry.top == (entry.labels != nil || entry.classes != nil))
            }
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
            guard let name = entry.architecture else { continue }
            // A table of positions has as many rows as the size of the images asks for.
            let graph = try Architectures.named(name).graph(
                top: entry.top, classes: entry.classes ?? 1000,
                input: entry.input.map { Extent($0.height, $0.width) })
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
        #expect(try registry.find("torchvision/resnet50").input?.shorterSide == 232)
        #expect(try registry.find("mobilenet:0.25").name == "mobilenet:0.25-224")
        #expect(registry.entry(forArchitecture: "mobilenet:0.25-128")?.input?.height == 128)
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
        #expect(registry.search("timm TF_ LITE0").map(\.name) == ["timm/tf_efficientnet_lite0"])
        #expect(registry.search("torchvision/resnet50:").count == 2)
        #expect(registry.search("zzz").isEmpty)
        let found = registry.search("resnet50").map(\.name)
        #expect(found.prefix(2) == ["resnet50", "resnet50:notop"])
        let own = found.firstIndex { $0.hasPrefix("torchvision/resnet50:") } ?? .max
        let longer = found.firstIndex(of: "resnet50v2") ?? -1
        let unknown = found.firstIndex { $0.hasPrefix("qubvel/") } ?? -1
        #expect(own < longer && longer < unknown)
    }

    @Test func everySeedIsThere() throws {
        func count(_ prefix: String) -> Int {
            registry.entries.count { $0.name.hasPrefix(prefix) }
        }
        #expect(count("torchvision/") >= 98)
        #expect(count("timm/") >= 640)
        #expect(count("tfhub/") >= 1000)
        #expect(try registry.find("tfhub/google/imagenet/resnet_v2_50/classification/5").top)
        #expect(try registry.find("timm/res2net50_26w_4s").url.hasPrefix("hf://timm/"))
    }

    @Test func conditionsHold() {
        var criteria = Registry.Criteria()
        criteria.query = "resnet"
        criteria.maxByteCount = 100_000_000
        criteria.minTop1 = 0.75
        criteria.licences = ["apache-2.0"]
        let found = registry.search(criteria)
        #expect(!found.isEmpty)
        for entry in found {
            #expect((entry.estimatedByteCount ?? .max) <= 100_000_000)
            #expect((entry.top1 ?? 0) >= 0.75)
            #expect(entry.licence == "Apache-2.0")
        }
        criteria.runnable = true
        let runnable = registry.search(criteria)
        #expect(runnable.allSatisfy { $0.architecture != nil })
        criteria.maxParameters = 1
        #expect(registry.search(criteria).isEmpty)
    }

    @Test func namesTheClasses() throws {
        let labels = try Registry.labels("imagenet")
        #expect(labels.count == 1000)
        #expect(labels[0] == "tench" && labels[999] == "toilet tissue")
        #expect(throws: RegistryError.unknownLabels("../x")) { try Registry.labels("../x") }
    }

    /// Reading only the families that mention a name must find what reading all finds.
    @Test func lookingUpInAPartFindsTheSame() throws {
        // Some of every family: each look-up reads files.
        let names = Set(registry.entries.map { String($0.base) }).sorted()
            .enumerated().filter { $0.offset % 40 == 0 }.map(\.element)
        for name in names { #expect(try Registry.find(name) == registry.find(name)) }
        let architectures = Set(registry.entries.compactMap(\.architecture)).sorted()
        for architecture in architectures.enumerated().filter({ $0.offset % 20 == 0 })
            .map(\.element)
        {
            #expect(
                try Registry.publication(ofArchitecture: architecture)
                    == registry.entry(forArchitecture: architecture))
        }
        #expect(try Registry.find("mobilenet:0.25").name == "mobilenet:0.25-224")
        let error = #expect(throws: RegistryError.self) { try Registry.find("resnet5O") }
        #expect(error?.hint?.contains("`resnet50`") == true)
    }
}
