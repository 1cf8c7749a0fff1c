// Files of records: appended whole, cut where a writer was killed, replaced where they are of something else.

import Foundation
import GraftCache
import GraftSystem
import GraftTensors
import Testing

@Suite struct RecordFileTests {
    private let header = [UInt8](repeating: 7, count: 64)

    private func bytes(_ file: RecordFile) throws -> [UInt8] {
        try file.mapped(byteCount: file.byteCount()).withBytes { Array($0) }
    }

    @Test func recordsAreAppendedWhole() throws {
        let fixture = try Fixture()
        let file = try RecordFile(folder: fixture.root + "/features/a", header: header)
        #expect(try bytes(file) == header)
        try file.append([1, 2, 3, 4], recordByteCount: 4)
        let other = try RecordFile(folder: fixture.root + "/features/a", header: header)
        try other.append([5, 6, 7, 8], recordByteCount: 4)
        #expect(try bytes(file) == header + [1, 2, 3, 4, 5, 6, 7, 8])
    }

    @Test func aTornRecordIsOverwritten() throws {
        let fixture = try Fixture()
        let file = try RecordFile(folder: fixture.root + "/features/a", header: header)
        try file.append([1, 2, 3, 4], recordByteCount: 4)
        try FileDescriptor(opening: file.path, for: .writing, .append).write([9, 9])
        try file.append([5, 6, 7, 8], recordByteCount: 4)
        #expect(try bytes(file) == header + [1, 2, 3, 4, 5, 6, 7, 8])
    }

    @Test func aFullDiskLeavesWholeRecords() throws {
        let fixture = try Fixture()
        let file = try RecordFile(folder: fixture.root + "/features/a", header: header)
        try file.append([1, 2, 3, 4], recordByteCount: 4)
        let plan = FaultPlan(.failure(.noSpace), at: .write, number: 0, below: fixture.root)
        #expect(throws: FileError(.write, at: file.path, .noSpace)) {
            try plan.whileInForce { try file.append([5, 6, 7, 8], recordByteCount: 4) }
        }
        #expect(try bytes(file) == header + [1, 2, 3, 4])
        try file.append([5, 6, 7, 8], recordByteCount: 4)
        #expect(try bytes(file) == header + [1, 2, 3, 4, 5, 6, 7, 8])
    }

    @Test func aFileOfSomethingElseIsReplaced() throws {
        let fixture = try Fixture()
        let folder = fixture.root + "/features/a"
        try RecordFile(folder: folder, header: header).append([1, 2], recordByteCount: 2)
        let other = [UInt8](repeating: 8, count: 64)
        #expect(try bytes(RecordFile(folder: folder, header: other)) == other)
    }

    @Test func aFileInUseIsSeen() throws {
        let fixture = try Fixture()
        let folder = fixture.root + "/features/a"
        let file = try RecordFile(folder: folder, header: header)
        #expect(FileLock.isHeld(folder))
        extendLifetime(file)
    }
}
