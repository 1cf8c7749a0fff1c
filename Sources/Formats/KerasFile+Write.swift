// Writes Keras' containers: legacy .h5, Keras 3's .weights.h5 and .keras.

public import GraftTensors
import OrderedCollections

/// A layer as Keras saves it.
public struct KerasLayer: Sendable {
    /// The layer's name.
    public var name: String
    /// The class in snake case: `conv2d`, `batch_normalization`.
    public var className: String
    /// The variables in Keras' order, with Keras' axes: `kernel`, `bias`…
    public var weights: [(variable: String, tensor: LazyTensor)]
    /// The layers of a nested model.
    public var inner: [KerasLayer]

    /// A layer.
    public init(
        name: String, className: String, weights: [(variable: String, tensor: LazyTensor)],
        inner: [KerasLayer] = []
    ) {
        self.name = name
        self.className = className
        self.weights = weights
        self.inner = inner
    }

    /// Its weights and those of its layers, each under its layer's path: `stem/stem_conv/kernel`.
    var named: [(name: String, tensor: LazyTensor)] {
        let own = weights.map { (name: $0.variable, tensor: $0.tensor) }
        return (own + inner.flatMap(\.named)).map {
            (name: "\(name)/\($0.name)", tensor: $0.tensor)
        }
    }
}

/// Writes files that Keras loads.
public enum KerasWriter {
    /// The version that the files claim to be of: what `keras.saving` of that version writes.
    static let version = "3.0.0"

    /// The legacy format. With `config`, the JSON of a model, `keras.models.load_model` opens it;
    /// `load_weights` does in either case. `layers` are in the order of `model.layers`.
    /// `properties` are what graft says of the model, as JSON; Keras does not read them.
    public static func writeLegacy(
        _ layers: [KerasLayer], config: String?, to path: String, properties: String? = nil
    ) throws {
        var root = HDF5Group()
        var weights = HDF5Group()
        weights.attributes["layer_names"] = .list(layers.map(\.name))
        weights.attributes["backend"] = .one("tensorflow")
        weights.attributes["keras_version"] = .one(version)
        for layer in layers {
            var group = HDF5Group()
            let named = layer.named
            group.attributes["weight_names"] = .list(named.map(\.name))
            for (name, tensor) in named {
                let parts = name.split(separator: "/").map(String.init)
                group[parts.dropLast()].datasets[parts.last ?? name] = tensor
            }
            let parts = layer.name.split(separator: "/").map(String.init)
            // A layer may lie in the group of another: `block` and `block/conv`.
            var place = weights[parts]
            guard !parts.isEmpty, place.attributes.isEmpty else {
                throw FormatError.unwritable(path: path, .duplicateLayer(layer.name))
            }
            place.merge(group)
            weights[parts] = place
        }
        if let config {
            root.attributes["keras_version"] = .one(version)
            root.attributes["backend"] = .one("tensorflow")
            root.attributes["model_config"] = .one(config)
            if let properties { root.attributes["graft"] = .one(properties) }
            root.groups["model_weights"] = weights
        } else {
            root = weights
        }
        var file = try AtomicFile(replacing: path)
        try HDF5Writer.write(root, to: file)
        try file.commit(durably: false)
    }

    /// Any tensors as a legacy file: what comes before the last `/` or `.` of a name is its layer.
    ///
    /// HDF5 has no place for every name: empty parts of a path go, and where that leaves two
    /// tensors with one name, or a tensor with the name of a group, a number is put behind it.
    public static func writeLegacy(_ state: StateDict, to path: String) throws {
        var layers: OrderedDictionary<String, KerasLayer> = [:]
        var groups: Set<String> = []
        var places: [(layer: String, variable: String, tensor: LazyTensor)] = []
        for (name, tensor) in state.tensors {
            let cut = name.lastIndex(of: "/") ?? name.lastIndex(of: ".")
            let variable = cut.map { name[name.index(after: $0)...] } ?? "value"
            var layer = pathParts(cut.map { name[..<$0] } ?? name[...])
            if layer.isEmpty { layer = pathParts(variable) }
            if layer.isEmpty { layer = ["tensor"] }
            // In the file the names of a layer's weights have its own before them.
            let full = layer + layer
            for end in 1...full.count { groups.insert(full[..<end].joined(separator: "/")) }
            let leaf = KerasNames.withoutNumber(pathParts(variable).last ?? "value")
            places.append((layer.joined(separator: "/"), leaf, tensor))
        }
        var used: Set<String> = []
        for (layer, variable, tensor) in places {
            var (unique, number) = (variable, 0)
            while groups.contains("\(layer)/\(layer)/\(unique)")
                || !used.insert("\(layer)/\(unique)").inserted
            {
                number += 1
                unique = "\(variable)_\(number)"
            }
            layers[layer, default: KerasLayer(name: layer, className: "", weights: [])]
                .weights.append((unique, tensor))
        }
        try writeLegacy(Array(layers.values), config: nil, to: path)
    }

    /// The parts of a path that HDF5 can name.
    private static func pathParts(_ name: Substring) -> [String] {
        name.split(separator: "/").map { part in
            part == "." || part == ".." ? "_" : String(part.map { $0 == "\0" ? "_" : $0 })
        }
    }

    /// Keras 3's `.weights.h5`. `layers` are all of `model.layers`, also those without weights:
    /// their classes are counted.
    public static func writeWeights(_ layers: [KerasLayer], to path: String) throws {
        var file = try AtomicFile(replacing: path)
        try HDF5Writer.write(objects(layers), to: file)
        try file.commit(durably: false)
    }

    /// Keras 3's `.keras`: `config.json`, `metadata.json` and the weights.
    /// `properties` are what graft says of the model, as JSON; Keras does not read them.
    public static func writeArchive(
        _ layers: [KerasLayer], config: String, to path: String, properties: String? = nil
    ) throws {
        // The weights' size must be known before they can be stored: a file beside the archive.
        let inner = path + ".weights.tmp"
        let weights = try AtomicFile(replacing: inner)
        try HDF5Writer.write(objects(layers), to: weights)
        let image = try Storage(mapping: "/proc/self/fd/\(weights.descriptor)")
        let tensor = LazyTensor(Tensor(.u8, [image.byteCount], storage: image))
        let archive = try ZipWriter(replacing: path)
        let more = properties.map { ", \"graft\": \($0.jsonQuoted)" } ?? ""
        let metadata =
            "{\"keras_version\": \"\(version)\", \"date_saved\": \"1980-01-01@00:00:00\"\(more)}"
        try archive.add("metadata.json", Array(metadata.utf8))
        try archive.add("config.json", Array(config.utf8))
        try archive.add("model.weights.h5", byteCount: image.byteCount) { try tensor.stream($0) }
        try archive.finish()
    }

    private static func objects(_ layers: [KerasLayer]) -> HDF5Group {
        var root = HDF5Group()
        root[["vars"]] = HDF5Group()
        var counts: [String: Int] = [:]
        for layer in layers {
            let number = counts[layer.className, default: 0]
            counts[layer.className] = number + 1
            // A nested model is laid out as the whole is.
            var object = layer.inner.isEmpty ? HDF5Group() : objects(layer.inner)
            var vars = HDF5Group()
            vars.attributes["name"] = .one(layer.name)
            for (index, weight) in layer.weights.enumerated() {
                vars.datasets[String(index)] = weight.tensor
            }
            object[["vars"]] = vars
            let group = number == 0 ? layer.className : "\(layer.className)_\(number)"
            root[["layers", group]] = object
        }
        return root
    }
}
