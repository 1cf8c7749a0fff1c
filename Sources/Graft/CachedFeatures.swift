// The features that Training keeps, in the cache: the protocol is Training's, the files are Cache's.

import GraftCache
import GraftTensors
import GraftTraining

/// `features/<key>/values` of a cache.
struct CachedFeatures: FeatureStore {
    private let root: String

    /// The features of the cache at `root`.
    init(root: String) { self.root = root }

    private struct Records: FeatureRecords {
        let file: RecordFile

        var path: String { file.path }
        func byteCount() throws -> Int { try file.byteCount() }
        func append(_ records: [UInt8], recordByteCount: Int) throws {
            try file.append(records, recordByteCount: recordByteCount)
        }
        func mapped(byteCount: Int) throws -> Storage { try file.mapped(byteCount: byteCount) }
    }

    func records(key: String, header: [UInt8]) throws -> any FeatureRecords {
        Records(file: try RecordFile(folder: "\(root)/features/\(key)", header: header))
    }
}
