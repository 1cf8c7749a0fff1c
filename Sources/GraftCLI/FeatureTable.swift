// Embeddings with the names of their images, whole or in parts that fit together again.

import Crypto
import FoundationEssentials
import GraftFormats
import GraftTensors
import OrderedCollections

/// Rows of features, and what says which part of which images they are.
struct FeatureTable {
    /// An image that could not be read: its place among the images of the part.
    struct Skipped: Codable, Equatable {
        var place: Int
        var name: String
    }

    /// The images of the rows.
    var names: [String]
    /// The features, one row per image.
    var features: Tensor
    /// The images without a row.
    var skipped: [Skipped] = []
    /// The digest of the model's source, and the layer.
    var source: String
    var layer: String
    /// Part `index` of `count`, of `total` images whose names have the digest `list`.
    var index: Int
    var count: Int
    var total: Int
    var list: String

    /// The numbers of a row.
    var width: Int { features.shape[1] }

    private struct Notes: Codable {
        var names: [String]
        var source: String
        var layer: String
        var index: Int
        var count: Int
        var total: Int
        var list: String
        var skipped: [Skipped]?
    }

    private static let key = "graft.features"

    static func digest(_ names: [String]) -> String {
        SHA256.hash(data: Data(names.joined(separator: "\n").utf8))
            .map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
    }

    init(
        names: [String], features: Tensor, source: String, layer: String, index: Int, count: Int,
        total: Int, list: String
    ) {
        (self.names, self.features) = (names, features)
        (self.source, self.layer, self.list) = (source, layer, list)
        (self.index, self.count, self.total) = (index, count, total)
    }

    init(_ path: String) throws {
        let file = try Safetensors.read(path)
        guard let text = file.metadata[Self.key],
            let notes = try? JSONDecoder().decode(Notes.self, from: Data(text.utf8)),
            let tensor = file["features"], tensor.shape.rank == 2, tensor.dtype == .f32,
            tensor.shape[0] == notes.names.count, notes.count > 0,
            (0..<notes.count).contains(notes.index), notes.total >= notes.names.count
        else { throw FeaturePartError.notAPart(path: path) }
        self.init(
            names: notes.names, features: try tensor.load(), source: notes.source,
            layer: notes.layer, index: notes.index, count: notes.count, total: notes.total,
            list: notes.list)
        skipped = notes.skipped ?? []
    }

    /// The parts together: image i is image i / N of part i mod N, whatever order they are given in.
    init(merging parts: [(path: String, table: FeatureTable)]) throws {
        guard let first = parts.first else { throw FeaturePartError.noParts }
        var byIndex: [Int: Cursor] = [:]
        for (path, table) in parts {
            guard table.list == first.table.list, table.source == first.table.source,
                table.layer == first.table.layer, table.count == first.table.count,
                table.width == first.table.width, table.total == first.table.total
            else {
                throw FeaturePartError.otherRun(path: path, first: first.path)
            }
            guard byIndex.updateValue(Cursor(table), forKey: table.index) == nil else {
                throw FeaturePartError.duplicate(path: path, index: table.index)
            }
        }
        let (count, width) = (first.table.count, first.table.width)
        for index in 0..<count where byIndex[index] == nil {
            throw FeaturePartError.missing(first: first.path, index: index, of: count)
        }
        let rowCount = parts.reduce(0) { $0 + $1.table.names.count }
        let spool = try Spool(byteCount: rowCount * width * 4)
        var (all, names): ([String], [String]) = ([], [])
        var skipped: [Skipped] = []
        for image in 0..<first.table.total {
            guard let (name, row) = byIndex[image % count]?.next() else {
                throw FeaturePartError.short(first: first.path)
            }
            all.append(name)
            guard let row else {
                skipped.append(Skipped(place: image, name: name))
                continue
            }
            guard names.count < rowCount else {
                throw FeaturePartError.long(first: first.path)
            }
            let offset = names.count * width * 4
            try row.withUnsafeBytes { try spool.put($0, at: offset) }
            names.append(name)
        }
        guard Self.digest(all) == first.table.list, names.count == rowCount else {
            throw FeaturePartError.otherImages(first: first.path)
        }
        self.init(
            names: names,
            features: Tensor(.f32, [names.count, width], storage: try spool.finish()),
            source: first.table.source, layer: first.table.layer, index: 0, count: 1,
            total: all.count, list: first.table.list)
        self.skipped = skipped
    }

    /// Walks over the images of a part, those without a row among them.
    private struct Cursor {
        private let table: FeatureTable
        private let missing: [Int: String]
        private var place = 0
        private var row = 0

        init(_ table: FeatureTable) {
            self.table = table
            missing = Dictionary(
                table.skipped.map { ($0.place, $0.name) }, uniquingKeysWith: { first, _ in first })
        }

        mutating func next() -> (name: String, row: [Float]?)? {
            defer { place += 1 }
            if let name = missing[place] { return (name, nil) }
            guard table.names.indices.contains(row) else { return nil }
            defer { row += 1 }
            let start = row * table.width
            return (
                table.names[row],
                table.features.withFloats { Array($0[start..<(start + table.width)]) }
            )
        }
    }

    /// Writes the rows: `.safetensors` holds the names, `.csv` begins each row with its own, and beside
    /// `.npy` they are the lines of `NAME.names.txt`.
    ///
    /// - Returns: The files.
    @discardableResult
    func write(to path: String) throws -> [String] {
        if path.hasSuffix(".csv") {
            try writeRows(to: path)
            return [path]
        }
        guard path.hasSuffix(".safetensors") else {
            try Npy.write(features, to: path)
            let beside = Self.namesFile(of: path)
            var file = try AtomicFile(replacing: beside)
            for name in names { try file.write(Array((Self.line(name) + "\n").utf8)) }
            try file.commit()
            return [path, beside]
        }
        let notes = Notes(
            names: names, source: source, layer: layer, index: index, count: count, total: total,
            list: list, skipped: skipped.isEmpty ? nil : skipped)
        try Safetensors.write(
            StateDict(
                ["features": LazyTensor(features)], metadata: [Self.key: try JSON.line(notes)]),
            to: path)
        return [path]
    }

    /// The file beside an `.npy` that names its rows.
    static func namesFile(of path: String) -> String {
        (path.hasSuffix(".npy") ? String(path.dropLast(4)) : path) + ".names.txt"
    }

    /// A name as one line.
    private static func line(_ name: String) -> String {
        name.split(separator: "\n", omittingEmptySubsequences: false).joined(separator: "\\n")
    }

    private func writeRows(to path: String) throws {
        var file = try AtomicFile(replacing: path)
        try file.write(
            Array((CSVLine.text(["path"] + (0..<width).map { "f\($0)" }) + "\n").utf8))
        for (row, name) in names.enumerated() {
            let start = row * width
            let cells = features.withFloats { floats in
                floats[start..<(start + width)].map { "\($0)" }
            }
            try file.write(Array((CSVLine.text([name] + cells) + "\n").utf8))
        }
        try file.commit()
    }
}
