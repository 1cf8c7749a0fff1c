// What can be wrong with an HDF5 file, and what can become of the process that parses it.

public import GraftTensors

/// One way in which an HDF5 file contradicts itself.
public enum HDF5Flaw: Equatable, Sendable, Codable {
    /// libhdf5 refused an operation.
    case library(operation: String)
    /// A group with more members than the file can name.
    case memberCount(group: String, UInt64)
    /// An attribute with more strings than the file can hold.
    case stringCount(attribute: String, Int64)
    /// An attribute that is not text.
    case attributeNotText(String)
    /// An attribute that is larger than the file.
    case largeAttribute(String)
    /// An object that is not a data set.
    case notDataset(String)
    /// A data set that is another one than before.
    case changed(String)
    /// Chunks that do not fit the file.
    case chunks(String)
    /// A chunk of another size.
    case chunkSize(String)
    /// Two weights of one name.
    case duplicate(weight: String)
    /// A data set that is far larger than the file.
    case tooLarge(String, Shape)
    /// Chunks with other axes than the data set.
    case chunkExtents(String, Shape, Shape)
    /// A data set behind the end of the file.
    case outside(String)
    /// A place that libhdf5 does not give.
    case noPlace(String)
    /// A Keras file without the list of its layers.
    case noLayerNames(group: String)
    /// More data sets than any network has.
    case tooManyDatasets(limit: Int)
    /// Groups in groups without end.
    case deepGroups(limit: Int)

    var explanation: String {
        switch self {
        case .library(let operation): "libhdf5 cannot \(operation)"
        case .memberCount(let group, let count): "`\(group)` claims to hold \(count) members"
        case .stringCount(let attribute, let count):
            "`\(attribute)` claims to hold \(count) strings"
        case .attributeNotText(let name): "expected the attribute `\(name)` to hold text"
        case .largeAttribute(let name): "`\(name)` is larger than the file"
        case .notDataset(let path): "expected `\(path)` to be a data set"
        case .changed(let path): "`\(path)` changed while it was open"
        case .chunks(let path): "the chunks of `\(path)` do not fit the file"
        case .chunkSize(let path): "a chunk of `\(path)` is not as large as it should be"
        case .duplicate(let name): "duplicate weight name `\(name)`"
        case .tooLarge(let path, let shape):
            "`\(path)` of shape \(shape) is over 1000 times as large as the file"
        case .chunkExtents(let path, let chunk, let shape):
            "chunks of `\(path)` have the extents \(chunk), and it \(shape)"
        case .outside(let path): "`\(path)` ends past the end of the file"
        case .noPlace(let path): "libhdf5 gives no place for `\(path)`"
        case .noLayerNames(let group): "`\(group)` has no attribute `layer_names`"
        case .tooManyDatasets(let limit): "it has over \(limit) data sets"
        case .deepGroups(let limit): "its groups nest over \(limit) deep, or contain themselves"
        }
    }
}

/// A failure of the process that parses a file.
public enum ParserFlaw: Equatable, Sendable, Codable {
    /// An answer that the parser never gives.
    case invalidReply
    /// An answer of more bytes than it can have.
    case longReply(found: Int, limit: Int)
    /// An answer of another size than was asked for.
    case replySize(expected: Int, found: Int)
    /// It ended by itself.
    case stopped(status: Int32)
    /// It took more processor time than the file may.
    case outOfTime
    /// It did not answer in time, or was ended for its memory.
    case silent
    /// It crashed.
    case crashed(signal: Int32)
    /// It refused the file for a reason that has no name here.
    case refused(reason: String)

    var explanation: String {
        switch self {
        case .invalidReply: "the sandboxed parser sent an invalid reply"
        case .longReply(let found, let limit):
            "its parser answers with \(found) bytes, expected at most \(limit)"
        case .replySize(let expected, let found):
            "its parser answers with \(found) bytes, expected \(expected)"
        case .stopped(let status): "its parser stopped with status \(status)"
        case .outOfTime: "parsing timed out: it took more time than a file of its size may"
        case .silent: "its parser did not answer, or took too much memory"
        case .crashed(let signal): "the parser crashed (signal \(signal))"
        case .refused(let reason): reason
        }
    }
}
