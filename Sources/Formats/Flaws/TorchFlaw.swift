// What can be wrong with a pickle, and with the PyTorch file around it.

public import GraftTensors

/// One way in which a pickle is not one that can be read as data.
public enum PickleFlaw: Equatable, Sendable, Codable {
    /// More values on the stack than any state dict needs.
    case deepStack(limit: Int)
    /// More operations than any state dict needs.
    case tooManyOperations(limit: Int)
    /// A value from an empty stack.
    case emptyStack
    /// No mark where one is needed.
    case noMark
    /// A value of an empty stack that is remembered.
    case nothingToRemember
    /// A value that was never stored.
    case unknownMemo(Int)
    /// A class that is not named by text.
    case classNotText
    /// A call of something else than a class.
    case callOfNoClass
    /// An opcode without its arguments.
    case missingArguments(opcode: UInt8)
    /// An append to something else than a list.
    case notList
    /// An item of something else than a dictionary.
    case notDictionary
    /// An object that is described otherwise than PyTorch does.
    case unknownDescription(Subject)
    /// A shape or stride that is not a size.
    case notSize
    /// More copied items than any state dict has.
    case tooManyCopies(limit: Int)
    /// A tensor with more axes than strides.
    case fewStrides

    /// The kind of object that a pickle describes.
    public enum Subject: String, Sendable, Codable {
        /// The bytes of tensors.
        case storage = "describes a storage"
        /// A view of a storage.
        case view = "describes a view"
        /// A shape.
        case shape = "describes a shape"
        /// A `torch.Size`.
        case size = "describes a `torch.Size`"
        /// A tensor.
        case tensor = "describes a tensor"
        /// A parameter.
        case parameter = "describes a parameter"
        /// A dictionary.
        case dictionary = "fills a dictionary"
    }

    var explanation: String {
        switch self {
        case .deepStack(let limit): "its pickle stacks over \(limit) values"
        case .tooManyOperations(let limit): "its pickle has over \(limit) operations"
        case .emptyStack: "its pickle takes a value from an empty stack"
        case .noMark: "its pickle lacks a mark"
        case .nothingToRemember: "its pickle remembers a value of an empty stack"
        case .unknownMemo(let key): "its pickle recalls value \(key), which it never stored"
        case .classNotText: "its pickle names a class by something else than text"
        case .callOfNoClass: "its pickle calls an object that is not a class"
        case .missingArguments(let opcode):
            "its pickle has the opcode \(opcode) without what it takes"
        case .notList: "its pickle appends to an object that is not a list"
        case .notDictionary: "its pickle sets an item of an object that is not a dictionary"
        case .unknownDescription(let subject): "its pickle \(subject.rawValue) in an unknown way"
        case .notSize: "its pickle has a shape or stride that is not a size"
        case .tooManyCopies(let limit): "its pickle copies over \(limit) items"
        case .fewStrides: "its pickle has a tensor with more axes than strides"
        }
    }
}

/// One way in which a PyTorch file contradicts itself.
public enum TorchFlaw: Equatable, Sendable, Codable {
    /// No pickle in the archive.
    case noPickle
    /// A storage that is not in the archive.
    case missingStorage(String)
    /// No list of storages after the pickle.
    case noStorageList(at: Int)
    /// A storage that no tensor uses, so that its type is unknown.
    case unusedStorage(String)
    /// A storage of more bytes than memory can have.
    case largeStorage(String)
    /// Tensors that are far larger than the file.
    case largeTensors
    /// Dictionaries in dictionaries without end.
    case deepDictionaries
    /// A name that is longer than any parameter's.
    case longName(String, found: Int, limit: Int)
    /// Two tensors of one name.
    case duplicate(tensor: String)
    /// A tensor of a storage that is missing.
    case noStorage(tensor: String, storage: String)
    /// A shape that no memory can have.
    case impossibleShape(tensor: String, Shape)
    /// A tensor behind the end of its storage.
    case outside(tensor: String, storageCount: Int)

    var explanation: String {
        switch self {
        case .noPickle: "it has no `data.pkl`"
        case .missingStorage(let key): "the storage `\(key)` is missing"
        case .noStorageList(let place): "expected a list of storages at byte \(place)"
        case .unusedStorage(let key): "no tensor uses the storage `\(key)`"
        case .largeStorage(let key): "the storage `\(key)` is too large"
        case .largeTensors: "its tensors are over 1000 times as large as the file"
        case .deepDictionaries: "its dictionaries nest too deep, or contain themselves"
        case .longName(let start, let found, let limit):
            "the name `\(start)…` has \(found) bytes, expected at most \(limit)"
        case .duplicate(let tensor): "two tensors are called `\(tensor)`"
        case .noStorage(let tensor, let storage):
            "`\(tensor)` uses the storage `\(storage)`, which is missing"
        case .impossibleShape(let tensor, let shape):
            "`\(tensor)` has the impossible shape \(shape)"
        case .outside(let tensor, let count):
            "`\(tensor)` ends past its storage of \(count) elements"
        }
    }
}
