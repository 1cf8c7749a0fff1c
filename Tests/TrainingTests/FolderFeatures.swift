// Kept features of a test: the cache's files, in a folder of its own.

import GraftCache
import GraftTensors
import GraftTraining

/// `features/<key>/values` below a folder.
struct FolderFeatures: FeatureStore {
    let root: String

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
