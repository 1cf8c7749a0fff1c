// What Training keeps from run to run, as whoever owns the cache folder has to offer it.

public import GraftTensors

/// Records of bytes by key. Graft joins it to the cache.
public protocol FeatureStore: Sendable {
    /// Opens the records of a key, and creates them with `header` where there are none, or others.
    func records(key: String, header: [UInt8]) throws -> any FeatureRecords
}

/// The records of one key, behind a header. Several processes may append to them at a time.
public protocol FeatureRecords: Sendable {
    /// The place of the records, for errors.
    var path: String { get }
    /// The number of bytes that are there now, with the header.
    func byteCount() throws -> Int
    /// Appends whole records of `recordByteCount` bytes each; a part of one that a killed process left is overwritten.
    func append(_ records: [UInt8], recordByteCount: Int) throws
    /// The first bytes, mapped; they never change once they are there.
    func mapped(byteCount: Int) throws -> Storage
}
