// What can be wrong with the weights of ONNX, TFLite and TensorFlow.

public import GraftTensors

/// One way in which the weights of an ONNX model contradict themselves.
public enum ONNXFlaw: Equatable, Sendable, Codable {
    /// Another number of graphs than one.
    case graphCount(Int)
    /// Two weights of one name.
    case duplicate(weight: String)
    /// A description that is longer than any is.
    case longDescription
    /// A weight whose protobuf is broken; its name where that could be read.
    case brokenWeight(String?)
    /// A shape that no memory can have.
    case impossibleShape(weight: String, Shape)
    /// Fewer numbers than the shape asks for.
    case fewNumbers(weight: String, Shape)
    /// Another number of bytes than the shape asks for.
    case wrongSize(weight: String, Shape, expected: Int, found: Int)
    /// Numbers that are not as the description says, in the words of the reader.
    case problem(String)
    /// A weight that does not fit the file that it is stored in.
    case outside(weight: String, Shape, location: String, byteCount: Int)

    var explanation: String {
        switch self {
        case .graphCount(let count): "it holds \(count) graphs, expected 1"
        case .duplicate(let name): "duplicate weight name `\(name)`"
        case .longDescription: "the description of a weight passes 1 MiB"
        case .brokenWeight(let name):
            "the protobuf of \(name.map { "`\($0)`" } ?? "a weight") is broken"
        case .impossibleShape(let name, let shape): "`\(name)` has the impossible shape \(shape)"
        case .fewNumbers(let name, let shape): "`\(name)` of shape \(shape) has too few numbers"
        case .wrongSize(let name, let shape, let expected, let found):
            "`\(name)` of shape \(shape) has \(found) bytes, expected \(expected)"
        case .problem(let reason): reason
        case .outside(let name, let shape, let location, let count):
            "`\(name)` of shape \(shape) does not fit `\(location)` of \(count) bytes"
        }
    }
}

/// One way in which a TFLite model contradicts itself.
public enum TFLiteFlaw: Equatable, Sendable, Codable {
    /// Tables that are named so often that they describe more than the file can hold.
    case largeTables
    /// A tensor of a buffer that does not exist.
    case noBuffer(Int, count: Int)
    /// A buffer behind the end of the file.
    case outside
    /// A shape that no memory can have.
    case impossibleShape(tensor: String, Shape)
    /// Another number of bytes than type and shape ask for.
    case wrongSize(tensor: String, DType, Shape, found: Int)
    /// A file without a graph.
    case noGraph
    /// More steps than a graph may have.
    case steps(count: Int, limit: Int)
    /// A tensor that the graph does not have.
    case noTensor(Int, count: Int)
    /// An operator that the file does not list.
    case noOperator(Int, count: Int)
    /// A contradiction in a sparse tensor.
    case sparsity(tensor: String, SparsityFlaw)

    /// One way in which the description of a sparse tensor contradicts itself.
    public enum SparsityFlaw: Equatable, Sendable, Codable {
        /// It does not fit the shape.
        case shape
        /// A dense axis with fewer than no places.
        case extent(Int)
        /// A block that is not dense.
        case sparseBlock
        /// A block of more places than memory can have.
        case largeBlock
        /// Numbers that belong nowhere.
        case leftOver(Int)
        /// An index outside the shape.
        case index
        /// An axis of more places than memory can have.
        case longAxis
        /// Segments that do not fit their indices.
        case segments
        /// Fewer numbers than it describes.
        case fewNumbers
        /// A number outside the shape.
        case outside
    }

    var explanation: String {
        switch self {
        case .largeTables: "its tables describe more than the file holds"
        case .noBuffer(let buffer, let count): "a tensor is stored in buffer \(buffer) of \(count)"
        case .outside: "a buffer ends past the end of the file"
        case .noGraph: "it holds no graph"
        case .steps(let count, let limit): "it has \(count) operators, expected at most \(limit)"
        case .noTensor(let tensor, let count): "an operator names tensor \(tensor) of \(count)"
        case .noOperator(let index, let count): "an operator is of kind \(index) of \(count)"
        case .impossibleShape(let tensor, let shape):
            "`\(tensor)` has the impossible shape \(shape)"
        case .wrongSize(let tensor, let dtype, let shape, let found):
            "`\(tensor)` of type \(dtype.rawValue) and shape \(shape) has \(found) bytes"
        case .sparsity(let tensor, let flaw):
            switch flaw {
            case .shape: "the sparsity of `\(tensor)` does not fit its shape"
            case .extent(let count): "an axis of `\(tensor)` has \(count) places"
            case .sparseBlock: "a block of `\(tensor)` is not dense"
            case .largeBlock: "a block of `\(tensor)` is too large"
            case .leftOver(let count): "`\(tensor)` has \(count) numbers that belong nowhere"
            case .index: "an index of `\(tensor)` is outside its shape"
            case .longAxis: "an axis of `\(tensor)` is too long"
            case .segments: "the segments of `\(tensor)` are broken"
            case .fewNumbers: "`\(tensor)` has too few numbers"
            case .outside: "a number of `\(tensor)` is outside its shape"
            }
        }
    }
}

/// One way in which a TensorFlow checkpoint contradicts itself.
public enum TensorFlowFlaw: Equatable, Sendable, Codable {
    /// No footer at the end of the table.
    case noFooter
    /// Blocks that are larger than the file.
    case largeBlocks
    /// Another checksum of a block.
    case blockChecksum(at: Int)
    /// A block without an end.
    case openBlock
    /// More restarts than a block has room for.
    case restartCount(Int)
    /// A key that cannot be one.
    case brokenKey
    /// Keys that are larger than the file.
    case largeKeys
    /// A block behind the end of the table.
    case blockOutside
    /// A table without its header.
    case noHeader
    /// The same key twice.
    case duplicateKey(String)
    /// An entry whose protobuf is broken.
    case brokenEntry
    /// A name that is not UTF-8.
    case nameNotText
    /// Two variables of one name.
    case duplicateName
    /// Another checksum of the object graph.
    case graphChecksum
    /// An object graph whose protobuf is broken.
    case brokenGraph
    /// A file that the checkpoint does not have.
    case noFile(Int, count: Int)
    /// A variable behind the end of its file.
    case outside(variable: String, byteCount: Int)
    /// Another number of bytes than the shape asks for; `expected` is nil where that overflows.
    case wrongSize(variable: String, Shape, expected: Int?, found: Int)
    /// Another checksum of a variable.
    case checksum(variable: String)
    /// A shape that no memory can have.
    case impossibleShape(variable: String, Shape)
    /// A contradiction in a part of a variable.
    case part(of: String, PartFlaw)

    /// One way in which the parts of a variable do not make the whole.
    public enum PartFlaw: Equatable, Sendable, Codable {
        /// Other axes than the variable.
        case axes(Shape)
        /// A place outside the variable.
        case outside(Shape)
        /// No place at all.
        case empty
        /// No entry for the part.
        case missing
        /// Another shape than its place.
        case shape(Shape)
        /// The same place as another part.
        case overlap
    }

    var explanation: String {
        switch self {
        case .noFooter: "it has no footer"
        case .largeBlocks: "its blocks are larger than the file"
        case .blockChecksum(let place): "the checksum of its block at byte \(place) is wrong"
        case .openBlock: "it has a block without an end"
        case .restartCount(let count): "it has a block of \(count) restarts"
        case .brokenKey: "it has a key that cannot be"
        case .largeKeys: "its keys are larger than the file"
        case .blockOutside: "it has a block past its end"
        case .noHeader: "its table does not begin with a header"
        case .duplicateKey(let key): "`\(key)` occurs twice"
        case .brokenEntry: "the protobuf of an entry is broken"
        case .nameNotText: "it has a name that is not UTF-8"
        case .duplicateName: "two of its variables have one name"
        case .graphChecksum: "the checksum of its object graph is wrong"
        case .brokenGraph: "its object graph is broken"
        case .noFile(let number, let count): "it points into file \(number) of \(count)"
        case .outside(let variable, let count): "`\(variable)` ends past its file of \(count) bytes"
        case .wrongSize(let variable, let shape, let expected, let found):
            "`\(variable)` of shape \(shape) has \(found) bytes, expected "
                + (expected.map(String.init) ?? "fewer")
        case .checksum(let variable): "the checksum of `\(variable)` is wrong"
        case .impossibleShape(let variable, let shape):
            "`\(variable)` has the impossible shape \(shape)"
        case .part(let variable, let flaw):
            switch flaw {
            case .axes(let shape): "a part of `\(variable)` has other axes than \(shape)"
            case .outside(let shape): "a part of `\(variable)` is outside of \(shape)"
            case .empty: "a part of `\(variable)` holds nothing"
            case .missing: "a part of `\(variable)` is missing"
            case .shape(let shape): "a part of `\(variable)` has the shape \(shape)"
            case .overlap: "two parts of `\(variable)` overlap"
            }
        }
    }
}

/// One way in which a program of torch.export contradicts itself.
public enum ExportedProgramFlaw: Equatable, Sendable, Codable {
    /// An archive without a graph.
    case noGraph
    /// A field of the schema that is not there, or is not what the schema says.
    case noField(String)
    /// More nodes than a graph may have.
    case nodes(count: Int, limit: Int)
    /// Graphs in graphs beyond any that are written.
    case depth(limit: Int)
    /// A weight whose bytes are not in the archive.
    case noWeight(String)
    /// A weight without type and shape.
    case noDescription(String)

    var explanation: String {
        switch self {
        case .noGraph: "it holds no graph"
        case .noField(let name): "`\(name)` is missing in its graph or not as the schema says"
        case .nodes(let count, let limit): "it has \(count) nodes, expected at most \(limit)"
        case .depth(let limit): "its graphs are nested more than \(limit) deep"
        case .noWeight(let name): "the bytes of `\(name)` are missing"
        case .noDescription(let name): "`\(name)` has no type and shape"
        }
    }
}
