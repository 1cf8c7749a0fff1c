// Embeddings with the names of their photos, whole or in parts that fit together again.

import Crypto
import FoundationEssentials
import GraftFormats
import GraftTensors
import OrderedCollections

/// Rows of features, and what says which part of which photos they are.
struct FeatureTable {
    /// The photos of the rows.
    var names: [String]
    /// The features, one row a photo.
    var rows: [[Float]]
    var width: Int
    /// The digest of the model's source, and the layer.
    var source: String
    var layer: String
    /// Part `index` of `count`, of `total` photos whose names have the digest `list`.
    var index: Int
    var count: Int
    var total: Int
    var list: String

    private struct Notes: Codable {
        var names: [String]
        var source: String
        var layer: String
        var index: Int
        var count: Int
        var total: Int
        var list: String
    }

    private static let key = "graft.features"

    static func digest(_ names: [String]) -> String {
        SHA256.hash(data: Data(names.joined(separator: "\n").utf8))
            .map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
    }

    init(
        names: [String], rows: [[Float]], width: Int, source: String, layer: String, index: Int,
        count: Int, total: Int, list: String
    ) {
        (self.names, self.rows, self.width) = (names, rows, width)
        (self.source, self.layer, self.list) = (source, layer, list)
        (self.index, self.count, self.total) = (index, count, total)
    }

    init(_ path: String) throws {
        let file = try Safetensors.read(path)
        func refuse(_ reason: String) -> FormatError {
            .unsupported(
                path: path, reason: reason,
                hint: "name the files that `graft features --shard I/N -o PART.safetensors` wrote")
        }
        guard let text = file.metadata[Self.key],
            let notes = try? JSONDecoder().decode(Notes.self, from: Data(text.utf8)),
            let tensor = file["features"], tensor.shape.rank == 2,
            tensor.shape[0] == notes.names.count, notes.count > 0,
            (0..<notes.count).contains(notes.index), notes.total >= notes.names.count
        else { throw refuse("it is no part of features") }
        let numbers = try tensor.load().floats
        let width = tensor.shape[1]
        self.init(
            names: notes.names,
            rows: notes.names.indices.map { Array(numbers[($0 * width)..<(($0 + 1) * width)]) },
            width: width, source: notes.source, layer: notes.layer, index: notes.index,
            count: notes.count, total: notes.total, list: notes.list)
    }

    /// The parts together: row i is row i / N of part i mod N, whatever order they are given in.
    init(merging parts: [(path: String, table: FeatureTable)]) throws {
        func refuse(_ path: String, _ reason: String) -> FormatError {
            .unsupported(
                path: path, reason: reason,
                hint: "compute the missing parts, or name all of one run")
        }
        guard let first = parts.first else { throw refuse("", "there are no parts") }
        var byIndex: [Int: FeatureTable] = [:]
        for (path, table) in parts {
            guard table.list == first.table.list, table.source == first.table.source,
                table.layer == first.table.layer, table.count == first.table.count,
                table.width == first.table.width, table.total == first.table.total
            else {
                throw refuse(
                    path,
                    "it is of other photos, another model or another number of parts than `\(first.path)`"
                )
            }
            guard byIndex.updateValue(table, forKey: table.index) == nil else {
                throw refuse(path, "part \(table.index) is there twice")
            }
        }
        let count = first.table.count
        for index in 0..<count where byIndex[index] == nil {
            throw refuse(first.path, "part \(index) of \(count) is missing")
        }
        var (names, rows): ([String], [[Float]]) = ([], [])
        for photo in 0..<first.table.total {
            guard let part = byIndex[photo % count], part.rows.indices.contains(photo / count)
            else {
                throw refuse(first.path, "a part is shorter than it should be")
            }
            names.append(part.names[photo / count])
            rows.append(part.rows[photo / count])
        }
        guard Self.digest(names) == first.table.list else {
            throw refuse(first.path, "the parts' photos are not those that were divided")
        }
        self.init(
            names: names, rows: rows, width: first.table.width, source: first.table.source,
            layer: first.table.layer, index: 0, count: 1, total: names.count,
            list: first.table.list)
    }

    func write(to path: String) throws {
        let tensor = Tensor(rows.flatMap { $0 }, shape: [rows.count, width])
        guard path.hasSuffix(".safetensors") else {
            try Npy.write(tensor, to: path)
            return
        }
        let notes = Notes(
            names: names, source: source, layer: layer, index: index, count: count, total: total,
            list: list)
        try Safetensors.write(
            StateDict(["features": LazyTensor(tensor)], metadata: [Self.key: try JSON.line(notes)]),
            to: path)
    }
}
