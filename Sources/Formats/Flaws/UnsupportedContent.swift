// What well-formed files ask for that graft does not do, and what cannot be written.

public import GraftTensors

/// Content of a well-formed file that graft does not read.
public enum UnsupportedContent: Equatable, Sendable, Codable {
    /// An encrypted member of an archive.
    case encrypted(member: String)
    /// An archive that unpacks to more than is allowed.
    case unpacksTooMuch(limit: Int)
    /// A member that is compressed by a method that is not read.
    case compression(member: String, method: Int)
    /// An HDF5 object behind a soft or external link.
    case link(String)
    /// An HDF5 data set that is stored in other files.
    case externalDataset(String)
    /// An HDF5 data set of elements that are not read.
    case elementType(dataset: String)
    /// HDF5 data that only a process of its own may decode.
    case needsDecoding(tensor: String)
    /// A Keras archive without weights.
    case noKerasWeights
    /// A version of the .npy format.
    case npyVersion(major: UInt8, minor: UInt8)
    /// NumPy's elements of a type that is not read.
    case npyElements(descr: String, read: [String])
    /// NumPy's records.
    case npyRecords
    /// A type that the format of a tensor does not have.
    case typeName(tensor: String, String)
    /// A number type that is not read.
    case numberType(tensor: String, code: Int)
    /// A tensor that is stored in a file that is not beside this one.
    case notBeside(tensor: String, file: String)
    /// An index that names an index.
    case nestedIndex(String)
    /// An index over files of different formats.
    case mixedFormats
    /// A pickle operation that no state dict has.
    case pickleOpcode(UInt8, at: Int)
    /// A pickle protocol that is not read.
    case pickleProtocol(UInt8)
    /// A pickle that asks to run a program.
    case pickledProgram(String)
    /// A pickle that makes a bare storage.
    case bareStorage
    /// A PyTorch protocol that is not read.
    case torchProtocol
    /// No tensor; the class whose code would be needed, if any.
    case noTensor(needs: String?)
    /// No tensor in a TensorFlow checkpoint.
    case emptyCheckpoint
    /// Big-endian numbers.
    case bigEndian
    /// A compressed block of a TensorFlow table.
    case compressedBlock(at: Int)
    /// A TensorFlow index whose data files cannot be found by its name.
    case renamedIndex
    /// Content that the process that parses the file refused for a reason that has no name here.
    case refused(reason: String)

    /// The cause in words.
    var explanation: String {
        switch self {
        case .encrypted(let member): "`\(member)` is encrypted"
        case .unpacksTooMuch(let limit): "it unpacks to more than \(limit) bytes"
        case .compression(let member, let method):
            "`\(member)` is compressed by method \(method)"
        case .link(let path): "`\(path)` is a soft or external link"
        case .externalDataset(let path): "the data set `\(path)` is stored externally"
        case .elementType(let path): "the elements of `\(path)` have an unsupported element type"
        case .needsDecoding(let tensor): "`\(tensor)` is chunked, compressed or big-endian"
        case .noKerasWeights: "it has no `model.weights.h5`"
        case .npyVersion(let major, let minor):
            "version \(major).\(minor) of the npy format is unknown"
        case .npyElements(let descr, _): "its elements are \(Self.kind(of: descr)) (`\(descr)`)"
        case .npyRecords: "its elements are records, or something else without a plain type"
        case .typeName(let tensor, let name): "`\(tensor)` has the unknown type `\(name)`"
        case .numberType(let tensor, let code): "`\(tensor)` has the number type \(code)"
        case .notBeside(let tensor, let file):
            "`\(tensor)` is stored in `\(file)`, which is not a file beside it"
        case .nestedIndex(let name): "`\(name)` is an index itself"
        case .mixedFormats: "its files are of different formats"
        case .pickleOpcode(let opcode, let place):
            "its pickle has the unexpected opcode \(opcode) at byte \(place)"
        case .pickleProtocol(let version): "pickle protocol \(version)"
        case .pickledProgram(let name): "it asks for `\(name)`, and pickle code is never run"
        case .bareStorage: "its pickle makes a bare storage, and pickle code is never run"
        case .torchProtocol: "its protocol is not PyTorch's 1001"
        case .noTensor(nil), .emptyCheckpoint: "it contains no tensor"
        case .noTensor(let name?):
            "it asks for `\(name)`, and pickle code is never run; it contains no tensor beside it"
        case .bigEndian: "it is big-endian"
        case .compressedBlock(let place): "its block at byte \(place) is compressed"
        case .renamedIndex: "its numbers are stored in files beside it that are named after it"
        case .refused(let reason): reason
        }
    }

    /// A step to take.
    var remedy: String? {
        switch self {
        case .encrypted, .unpacksTooMuch: "unpack it first"
        case .compression: "write it uncompressed, or with deflate"
        case .needsDecoding:
            "convert it with the `graft` program, which decodes such data in a process of its own; "
                + "for files that you trust pass `.inProcess`"
        case .npyElements(let descr, let read):
            descr.contains("O")
                ? "graft never runs pickle code: save numbers, not objects"
                : "save it as one of \(read.joined(separator: ", "))"
        case .npyRecords: "graft reads arrays of numbers, not of records"
        case .pickleOpcode: "graft reads state dicts as `torch.save` writes them"
        case .pickledProgram:
            "weights do not need this: the file may be an attack; get it from its author"
        case .noTensor(nil): "save the `state_dict()` of the model"
        case .noTensor(_?):
            "save only the `state_dict()`, or convert it to safetensors where it was made"
        case .bigEndian: "save it on a little-endian machine"
        case .compressedBlock:
            "save the checkpoint again with TensorFlow, which writes them uncompressed"
        case .renamedIndex: "give it back its name, `….index`"
        case .link, .externalDataset, .elementType, .noKerasWeights, .npyVersion, .typeName,
            .numberType, .notBeside, .nestedIndex, .mixedFormats, .pickleProtocol, .bareStorage,
            .torchProtocol, .emptyCheckpoint, .refused:
            nil
        }
    }

    /// The words for elements of a NumPy type that graft does not read.
    private static func kind(of descr: String) -> String {
        switch descr.first(where: \.isLetter) {
        case "U", "S", "a": "text"
        case "c": "complex numbers"
        case "O": "Python objects"
        case "M": "dates"
        case "m": "durations"
        case "V": "records or raw bytes"
        default: "of an unsupported type"
        }
    }
}

/// Content that has no place in the format that is written.
public enum UnwritableContent: Equatable, Sendable {
    /// A type that HDF5 does not have.
    case hdf5Type(tensor: String, DType)
    /// A type that PyTorch does not have.
    case torchType(tensor: String, DType)
    /// Two layers of one name.
    case duplicateLayer(String)
    /// A tensor of packed elements that ends within a byte.
    case partialByte(tensor: String, DType, Shape)
    /// A name that the format keeps for itself.
    case reservedName(String)
    /// A name that no member of an archive can have.
    case memberName(String)
    /// A header that is longer than the format allows.
    case largeHeader(byteCount: Int, limit: Int)
    /// More bytes than a flatbuffer can address.
    case largeFlatBuffer(byteCount: Int)

    /// The cause in words.
    var explanation: String {
        switch self {
        case .hdf5Type(let tensor, let dtype):
            "HDF5 has no type for `\(tensor)`'s \(dtype.rawValue)"
        case .torchType(let tensor, let dtype):
            "PyTorch has no type for the \(dtype.rawValue) of `\(tensor)`"
        case .duplicateLayer(let name): "duplicate layer name `\(name)`"
        case .partialByte(let tensor, let dtype, let shape):
            "`\(tensor)` of type \(dtype.rawValue) and shape \(shape) ends within a byte"
        case .reservedName(let name): "no tensor may be called `\(name)`"
        case .memberName(let name): "nothing in it may be called `\(name)`"
        case .largeHeader(let count, let limit):
            "the header needs \(count) bytes, the format allows \(limit)"
        case .largeFlatBuffer(let count):
            "it needs \(count) bytes, the format allows \(FlatBufferWriter.maximumByteCount)"
        }
    }

    /// A step to take.
    var remedy: String? {
        switch self {
        case .hdf5Type, .torchType, .partialByte: "convert them with `--dtype f32`"
        case .largeFlatBuffer: "half precision takes half of it: `--dtype f16`"
        case .duplicateLayer, .reservedName, .memberName, .largeHeader: nil
        }
    }
}
