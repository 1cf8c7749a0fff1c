// Why a file is not a valid file of its format: one enum of causes per reader, joined here.

/// One way in which the bytes of a file contradict its format.
///
/// Causes travel from the process that parses HDF5 and zip files, so that they can be coded.
public enum FormatFlaw: Equatable, Sendable, Codable {
    /// Bytes that end too early, or are not text or a size.
    case bytes(ByteFlaw)
    /// JSON in the file, and the line of it.
    case json(DocumentFlaw, line: Int?)
    /// A safetensors file.
    case safetensors(SafetensorsFlaw)
    /// A .npy file.
    case npy(NpyFlaw)
    /// A zip archive.
    case zip(ZipFlaw)
    /// A tar archive.
    case tar(TarFlaw)
    /// An archive that is unpacked by libarchive.
    case archive(UnpackingFlaw)
    /// A pickle.
    case pickle(PickleFlaw)
    /// A PyTorch file around its pickle.
    case torch(TorchFlaw)
    /// An HDF5 file.
    case hdf5(HDF5Flaw)
    /// The process that parses a file.
    case parser(ParserFlaw)
    /// An ONNX model.
    case onnx(ONNXFlaw)
    /// A TFLite model.
    case tflite(TFLiteFlaw)
    /// A program of torch.export.
    case exportedProgram(ExportedProgramFlaw)
    /// A TensorFlow checkpoint.
    case tensorFlow(TensorFlowFlaw)
    /// An index of several files.
    case shards(ShardFlaw)

    /// The cause in words.
    var explanation: String {
        switch self {
        case .bytes(let flaw): flaw.explanation
        case .json(let flaw, let line):
            "its JSON\(line.map { ", line \($0)" } ?? ""): \(flaw.explanation)"
        case .safetensors(let flaw): flaw.explanation
        case .npy(let flaw): flaw.explanation
        case .zip(let flaw): flaw.explanation
        case .tar(let flaw): flaw.explanation
        case .archive(let flaw): flaw.explanation
        case .pickle(let flaw): flaw.explanation
        case .torch(let flaw): flaw.explanation
        case .hdf5(let flaw): flaw.explanation
        case .parser(let flaw): flaw.explanation
        case .onnx(let flaw): flaw.explanation
        case .tflite(let flaw): flaw.explanation
        case .exportedProgram(let flaw): flaw.explanation
        case .tensorFlow(let flaw): flaw.explanation
        case .shards(let flaw): flaw.explanation
        }
    }
}

/// Bytes that end too early, or are not text or a size.
public enum ByteFlaw: Equatable, Sendable, Codable {
    /// A place behind the end.
    case outside(offset: Int, byteCount: Int)
    /// Fewer bytes than are needed.
    case tooShort(expected: Int, at: Int, found: Int)
    /// A number that is negative or beyond what memory can have.
    case notSize(String, at: Int)
    /// Bytes that are not UTF-8.
    case notText(at: Int)
    /// A line without a line feed.
    case openLine(at: Int)
    /// A number of more than 64 bits.
    case numberTooLarge(at: Int)
    /// A protobuf field of a kind that does not exist.
    case protobufKind
    /// More fields of a protobuf than are read.
    case protobufFields(limit: Int)
    /// A table of a FlatBuffer without fields.
    case noFields(at: Int)
    /// A vector of a FlatBuffer that ends past the file.
    case vectorOutside(at: Int)

    var explanation: String {
        switch self {
        case .outside(let offset, let count): "byte \(offset) is past the end, at \(count)"
        case .tooShort(let expected, let place, let found):
            "expected \(expected) more bytes at byte \(place), found \(found)"
        case .notSize(let value, let place): "\(value) at byte \(place) is not a size"
        case .notText(let place): "the text at byte \(place) is not UTF-8"
        case .openLine(let place): "the line at byte \(place) has no end"
        case .numberTooLarge(let place): "the number before byte \(place) is too large"
        case .protobufKind: "its protobuf has a field of unknown kind"
        case .protobufFields(let limit): "its protobuf has over \(limit) fields"
        case .noFields(let place): "the table at byte \(place) has no fields"
        case .vectorOutside(let place): "the vector at byte \(place) ends past its end"
        }
    }
}
