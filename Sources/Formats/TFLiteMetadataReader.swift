// What the metadata of TensorFlow Lite models say of images and answers.

import GraftSchemas
import GraftTensors
import OrderedCollections

/// Reads the metadata that TensorFlow Lite's and MediaPipe's tasks read (metadata_schema.fbs).
enum TFLiteMetadataReader {
    /// The name of the buffer that holds them.
    static let name = "TFLITE_METADATA"
    /// The most bytes of a list of labels.
    private static let maximumLabelByteCount = 1 << 24

    /// Numbers of fields in the schema.
    private enum Field {
        static let (name, graphs, author, licence) = (0, 3, 4, 5)
        static let (inputs, outputs) = (2, 3)
        static let (units, files) = (4, 6)
        static let (unitType, unit) = (0, 1)
        static let (mean, deviation) = (0, 1)
        static let (fileName, fileType) = (0, 2)
    }
    private static let normalization: UInt8 = 1
    /// Labels of an axis of the answer, and of its values.
    private static let labelTypes: Set<Int8> = [2, 3]

    static func read(
        _ bytes: UnsafeRawBufferPointer, of storage: Storage, in source: Source
    ) throws -> TFLiteMetadata {
        let root = try FlatTable(root: bytes, source)
        var result = TFLiteMetadata()
        result.name = try root.text(Field.name) ?? ""
        result.author = try root.text(Field.author) ?? ""
        result.licence = try root.text(Field.licence) ?? ""
        guard let graph = try root.tables(Field.graphs).first else { return result }
        for unit in try graph.tables(Field.inputs).first?.tables(Field.units) ?? []
        where try unit.integer(Field.unitType, UInt8(0)) == normalization {
            guard let options = try unit.table(Field.unit) else { continue }
            func numbers(_ field: Int) throws -> [Float] {
                try options.integers(field, UInt32.self).map { Float(bitPattern: $0) }
            }
            result.mean = try numbers(Field.mean)
            result.deviation = try numbers(Field.deviation)
        }
        for file in try graph.tables(Field.outputs).first?.tables(Field.files) ?? []
        where labelTypes.contains(try file.integer(Field.fileType, Int8(0))) {
            guard let name = try file.text(Field.fileName) else { continue }
            result.labels = try lines(of: name, behind: storage, in: source)
            break
        }
        return result
    }

    /// The lines of a file in the archive behind the model; none if it is not there.
    private static func lines(
        of name: String, behind storage: Storage, in source: Source
    ) throws -> [String] {
        let archive = try ZipArchive(storage, source, .contiguousOnly)
        guard let member = archive.members[name], member.count <= maximumLabelByteCount else {
            return []
        }
        var lines = try archive.text(member).split(
            separator: "\n", omittingEmptySubsequences: false
        ).map { line in String(line.hasSuffix("\r") ? line.dropLast() : line) }
        if lines.last?.isEmpty == true { lines.removeLast() }
        return lines
    }
}
