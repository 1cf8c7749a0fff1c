// Keras' HDF5 files: legacy weights, whole models, Keras 3 weights and .keras archives.

import GraftSystem
import GraftTensors
import OrderedCollections

/// Finds the tensors of a Keras file and gives them the names `layer/variable`.
enum KerasFile {
    static func read(_ storage: Storage, _ source: Source, _ isolation: Isolation) throws
        -> StateDict
    {
        try read(storage, 0..<storage.byteCount, source, isolation)
    }

    /// A `.keras` archive: `config.json`, `metadata.json` and `model.weights.h5`.
    static func readArchive(_ storage: Storage, _ source: Source, _ isolation: Isolation) throws
        -> StateDict
    {
        let archive = try ZipArchive(storage, source, isolation)
        guard let weights = archive.members["model.weights.h5"] else {
            throw source.unsupported(.noKerasWeights)
        }
        let (bytes, range) = try archive.content(weights, forAProcess: true)
        var state = try read(bytes, range, source, isolation)
        if let config = archive.members["config.json"] {
            state.metadata["model_config"] = try archive.text(config)
        }
        if let member = archive.members["metadata.json"] {
            let text = Array(try archive.text(member).utf8)
            let version = try text.withUnsafeBytes {
                try JSONTree(strictly: $0, in: source)["keras_version"]?.string
            }
            state.metadata["keras_version"] = version
            state.metadata["graft"] = try text.withUnsafeBytes {
                try JSONTree(strictly: $0, in: source)["graft"]?.string
            }
        }
        return state
    }

    private static func read(
        _ storage: Storage, _ range: Range<Int>, _ source: Source, _ isolation: Isolation
    ) throws -> StateDict {
        switch isolation {
        case .process(let program):
            let child = try HDF5Process(program, storage, range, source)
            return try child.listing.state(storage, range, source) { try child.load($0) }
        case .contiguousOnly:
            let listing = try listing(HDF5File(storage, range, source))
            return try listing.state(storage, range, source) { index in
                throw source.unsupported(.needsDecoding(tensor: listing.entries[index].name))
            }
        case .inProcess:
            let listing = try listing(HDF5File(storage, range, source))
            return try listing.state(storage, range, source) { index in
                try HDF5File(storage, range, source).load(listing.entries[index].dataset)
            }
        }
    }

    /// The tensors of an open file: what libhdf5 says, to be checked by whoever uses it.
    static func listing(_ file: borrowing HDF5File) throws -> HDF5Listing {
        var state = HDF5Listing()
        for name in ["model_config", "keras_version", "training_config", "graft"] {
            state.metadata[name] = try file.strings("", name)?.first
        }
        if try list(file, "", "layer_names") != nil {
            try readLegacy(file, root: "", into: &state)
        } else if file.exists("/model_weights") {
            try readLegacy(file, root: "/model_weights", into: &state)
        } else if file.exists("/layers") || file.exists("/_layer_checkpoint_dependencies")
            || file.exists("/vars")
        {
            try readObjects(file, "", names: [], layerClass: "", depth: 0, into: &state)
        } else {
            try readPlain(file, "", depth: 0, into: &state)
        }
        return state
    }

    /// An attribute that Keras splits into `name0`, `name1`… when it passes 64,512 bytes.
    private static func list(_ file: borrowing HDF5File, _ path: String, _ name: String) throws
        -> [String]?
    {
        if let strings = try file.strings(path, name) { return strings }
        var all: [String]?
        var index = 0
        while let part = try file.strings(path, "\(name)\(index)") {
            all = (all ?? []) + part
            index += 1
        }
        return all
    }

    private static func readLegacy(
        _ file: borrowing HDF5File, root: String, into state: inout HDF5Listing
    ) throws {
        guard let layers = try list(file, root, "layer_names") else {
            throw file.source.malformed(.hdf5(.noLayerNames(group: root)))
        }
        for layer in layers {
            let group = "\(root)/\(layer)"
            for weight in try list(file, group, "weight_names") ?? [] {
                let name = KerasNames.name(layer: layer, weight: weight)
                try add(try file.dataset("\(group)/\(weight)"), name, file.source, &state)
            }
        }
    }

    private static func add(
        _ dataset: HDF5Dataset, _ name: String, _ source: Source, _ state: inout HDF5Listing
    ) throws {
        guard state.entries.count < 1_000_000 else {
            throw source.malformed(.hdf5(.tooManyDatasets(limit: 1_000_000)))
        }
        guard state.names.insert(name).inserted else {
            throw source.malformed(.hdf5(.duplicate(weight: name)))
        }
        state.entries.append(.init(name: name, dataset: dataset))
    }

    /// Groups may contain themselves, twice: then there are ever more of them.
    private static func enter(
        _ file: borrowing HDF5File, _ path: String, _ depth: Int, _ state: inout HDF5Listing
    ) throws {
        if !state.groups.insert(try file.address(path)).inserted { state.aliases += 1 }
        guard depth < 64, state.aliases <= 1000 else {
            throw file.source.malformed(.hdf5(.deepGroups(limit: 64)))
        }
    }

    /// Keras 3: `/layers/conv2d_1/vars/0`, with the layer's name on `vars`.
    private static func readObjects(
        _ file: borrowing HDF5File, _ path: String, names: [String], layerClass: String,
        depth: Int, into state: inout HDF5Listing
    ) throws {
        try enter(file, path, depth, &state)
        for child in try file.children(path) {
            let childPath = "\(path)/\(child)"
            if depth == 0, ["optimizer", "metrics"].contains(child) { continue }
            guard try file.isGroup(childPath) else { continue }
            if child == "vars" {
                let variables = try file.children(childPath)
                for (index, variable) in variables.enumerated() {
                    let spelled = KerasNames.variable(
                        index, of: variables.count, layerClass: layerClass)
                    let name = (names + [spelled ?? variable]).joined(separator: "/")
                    try add(
                        try file.dataset("\(childPath)/\(variable)"), name, file.source, &state)
                }
            } else if child == "layers" || child == "_layer_checkpoint_dependencies" {
                try readObjects(
                    file, childPath, names: names, layerClass: "", depth: depth + 1, into: &state)
            } else {
                let vars = "\(childPath)/vars"
                let name = file.exists(vars) ? try file.strings(vars, "name")?.first : nil
                try readObjects(
                    file, childPath, names: names + [name ?? child],
                    layerClass: KerasNames.layerClass(child), depth: depth + 1, into: &state)
            }
        }
    }

    /// Any other HDF5 file: every data set under its path.
    private static func readPlain(
        _ file: borrowing HDF5File, _ path: String, depth: Int, into state: inout HDF5Listing
    ) throws {
        try enter(file, path, depth, &state)
        for child in try file.children(path) {
            let childPath = "\(path)/\(child)"
            if try file.isGroup(childPath) {
                try readPlain(file, childPath, depth: depth + 1, into: &state)
            } else {
                try add(
                    try file.dataset(childPath), String(childPath.dropFirst()), file.source, &state)
            }
        }
    }
}
