// Tensors that are given and written by name: `NAME=FILE.npy`, a folder of them, or one `.npz`.

import Graft
import GraftFormats
import GraftSystem
import GraftTensors
import OrderedCollections

/// A file, and the input or output that it is of, if one is named.
struct NamedFile {
    let name: String?
    let path: String

    /// `FILE` or `NAME=FILE`; what is a file as a whole, or names nothing that is known, is a path.
    init(_ text: String, among names: [String]) {
        guard let sign = text.firstIndex(of: "=") else {
            (name, path) = (nil, text)
            return
        }
        let before = String(text[..<sign])
        guard names.contains(before) || !before.contains("/") else {
            (name, path) = (nil, text)
            return
        }
        (name, path) = (before, String(text[text.index(after: sign)...]))
    }
}

/// Reads the inputs of a network.
enum NamedInputs {
    /// The tensors of `--input`, by the names of inputs: those without a name are the inputs in their order.
    static func read(_ arguments: [String], of names: [String]) throws -> [String: Tensor] {
        var tensors: [String: Tensor] = [:]
        var next = 0
        func set(_ tensor: Tensor, as name: String) throws {
            guard names.contains(name) else {
                throw ModelError.unusable(
                    "--input", reason: "no input is called `\(name)`",
                    hint: "the inputs are " + names.map { "`\($0)`" }.joined(separator: ", "))
            }
            guard tensors.updateValue(tensor, forKey: name) == nil else {
                throw ModelError.unusable(
                    "--input", reason: "input `\(name)` is given twice", hint: nil)
            }
        }
        for argument in arguments {
            let file = NamedFile(argument, among: names)
            if file.name == nil, file.path.hasSuffix(".npz") {
                for (name, tensor) in try Npz.read(file.path).tensors {
                    try set(try tensor.load(), as: name)
                }
                continue
            }
            if let name = file.name {
                try set(try Npy.read(file.path), as: name)
                continue
            }
            guard next < names.count else {
                throw ModelError.unusable(
                    "--input", reason: "expected \(names.count) inputs, found more",
                    hint: "the inputs are " + names.map { "`\($0)`" }.joined(separator: ", "))
            }
            try set(try Npy.read(file.path), as: names[next])
            next += 1
        }
        return tensors
    }
}

/// Writes the outputs of a network.
struct NamedOutputs {
    private enum Target {
        case file(String)
        case folder(String)
        case archive(String)
    }

    /// The outputs that are asked for, in order.
    let names: [String]
    private let targets: [(name: String?, target: Target)]

    /// The files of `--output` for a network with outputs of these names; `select` names the wanted one.
    init(_ arguments: [String], of names: [String], select: String?) throws {
        let wanted = select.map { [$0] } ?? names
        var targets: [(String?, Target)] = []
        for argument in arguments {
            let file = NamedFile(argument, among: names)
            let target: Target =
                file.path.hasSuffix("/") || FileSystem.isFolder(file.path)
                ? .folder(file.path)
                : file.path.hasSuffix(".npz") ? .archive(file.path) : .file(file.path)
            if case .file = target, file.name == nil, wanted.count != 1 {
                throw ModelError.unusable(
                    "--output",
                    reason: "the network has \(wanted.count) outputs: "
                        + wanted.map { "`\($0)`" }.joined(separator: ", "),
                    hint:
                        "name one: `--output \(wanted.first ?? "NAME")=\(file.path)`, or give a folder or "
                        + "a `.npz`")
            }
            targets.append((file.name, target))
        }
        let isAll = targets.contains { $0.0 == nil }
        self.names = isAll ? wanted : names.filter { name in targets.contains { $0.0 == name } }
        for (name, _) in targets {
            guard let name, !names.contains(name) else { continue }
            throw ModelError.unusable(
                "--output", reason: "no output is called `\(name)`",
                hint: "the outputs are " + names.map { "`\($0)`" }.joined(separator: ", "))
        }
        self.targets = targets
    }

    /// Writes the tensors, which are those of ``names``.
    func write(_ tensors: [Tensor]) throws {
        let named = Array(zip(names, tensors))
        for (name, target) in targets {
            let chosen = named.filter { name == nil || $0.0 == name }
            switch target {
            case .file(let path): for (_, tensor) in chosen { try Npy.write(tensor, to: path) }
            case .archive(let path):
                var state = StateDict()
                for (name, tensor) in chosen { state[name] = LazyTensor(tensor) }
                try Npz.write(state, to: path)
            case .folder(let path):
                try FileSystem.createFolder(path, intermediates: true)
                for (name, tensor) in chosen {
                    let file = name.replacing("/", with: "_")
                    try Npy.write(
                        tensor, to: path + (path.hasSuffix("/") ? "" : "/") + file + ".npy")
                }
            }
        }
    }
}
