// torch.export's archives (.pt2): a graph in JSON, and weights as plain bytes or as `torch.save` writes them.

package import GraftSchemas
import GraftSystem
import GraftTensors
import OrderedCollections

/// Reads what `torch.export.save` writes. Nothing in it is run: the graph is data, and pickles are read
/// as ``TorchFile`` reads them.
package enum ExportedProgramFile {
    /// The ending of the members that hold a graph and weights since PyTorch 2.8.
    private static let (graph, weights, constants) = (
        "models/model.json", "data/weights/model_weights_config.json",
        "data/constants/model_constants_config.json"
    )
    /// The same before: a graph, and two files of `torch.save`.
    private static let (oldGraph, oldWeights, oldConstants) = (
        "serialized_exported_program.json", "serialized_state_dict.pt", "serialized_constants.pt"
    )

    /// Whether an archive with these members is one.
    static func isProgram(_ names: some Collection<String>) -> Bool {
        names.contains {
            $0.hasSuffix("/" + graph) || $0 == oldGraph || $0.hasSuffix("/" + oldGraph)
        }
    }

    /// The graph of the program at `path`.
    ///
    /// - Throws: ``FormatError`` where the archive contradicts itself.
    package static func program(at path: String) throws -> ExportedProgram {
        let source = Source(path: path, format: "pt2")
        let archive = try ZipArchive(try Storage(mapping: path), source, .current)
        return try program(archive, in: source)
    }

    static func program(_ archive: ZipArchive, in source: Source) throws -> ExportedProgram {
        let member = archive.members.values.first {
            $0.name.hasSuffix(graph) || $0.name.hasSuffix(oldGraph)
        }
        guard let member else { throw source.malformed(.exportedProgram(.noGraph)) }
        var text = try archive.text(member)
        let tree = try text.withUTF8 { bytes in
            try JSONTree(strictly: UnsafeRawBufferPointer(bytes), in: source)
        }
        return try ExportedProgramReader(source: source).program(tree)
    }

    // MARK: Weights

    /// The weights and constants, by the names that the graph has for them.
    static func read(
        _ storage: Storage, in source: Source, isolation: Isolation
    ) throws -> StateDict {
        let source = Source(path: source.path, format: "pt2")
        let archive = try ZipArchive(storage, source, isolation)
        var state = StateDict()
        // Of a model on two devices there would be several; one name is one tensor all the same.
        for (config, isOld) in [
            (weights, false), (constants, false), (oldWeights, true),
            (oldConstants, true),
        ] {
            guard let member = archive.members.values.first(where: { $0.name.hasSuffix(config) })
            else { continue }
            let part =
                try isOld
                ? pickled(member, of: archive, in: source, isolation: isolation)
                : plain(member, of: archive, in: source, isolation: isolation)
            for (name, tensor) in part.tensors where state[name] == nil { state[name] = tensor }
        }
        return state
    }

    /// The tensors of a member that `torch.save` wrote.
    private static func pickled(
        _ member: ZipArchive.Member, of archive: ZipArchive, in source: Source,
        isolation: Isolation
    ) throws -> StateDict {
        let (storage, range) = try archive.content(member)
        guard !range.isEmpty else { return StateDict() }
        let copy = Storage(byteCount: range.count) { target in
            storage.withBytes { bytes in
                target.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[range]))
            }
        }
        do {
            return try TorchFile.read(copy, source, isolation).state
        } catch FormatError.unsupported(_, .noTensor(needs: nil)) {
            return StateDict()
        }
    }

    /// The tensors that a list of members describes.
    private static func plain(
        _ member: ZipArchive.Member, of archive: ZipArchive, in source: Source,
        isolation: Isolation
    ) throws -> StateDict {
        var text = try archive.text(member)
        let tree = try text.withUTF8 {
            try JSONTree(strictly: UnsafeRawBufferPointer($0), in: source)
        }
        let folder = member.name.split(separator: "/").dropLast().joined(separator: "/")
        let reader = ExportedProgramReader(source: source)
        var state = StateDict()
        let last = TorchFile.LastMember()
        for entry in tree["config"]?.object?.members ?? [] {
            let name = entry.key
            guard let path = entry.value["path_name"]?.string,
                let own = archive.members["\(folder)/\(path)"]
            else { throw source.malformed(.exportedProgram(.noWeight(name))) }
            if entry.value["use_pickle"]?.truth == true {
                let tensors = try pickled(own, of: archive, in: source, isolation: isolation)
                    .tensors
                // A script object is no tensor, and no operator that graft has reads one.
                if let tensor = tensors.values.first, tensors.count == 1 { state[name] = tensor }
                continue
            }
            let span = try archive.check(own)
            let place =
                own.method == 0
                ? TorchFile.Place(archive.storage, span) : TorchFile.Place(archive, own, last)
            guard let meta = entry.value["tensor_meta"] else {
                throw source.malformed(.exportedProgram(.noDescription(name)))
            }
            state[name] = try reader.tensor(
                named: name, meta, in: place, fileByteCount: archive.storage.byteCount)
        }
        return state
    }
}
