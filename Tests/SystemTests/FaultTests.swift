// Failures on purpose: each strikes once, below its folder only, and nothing half-written becomes visible.

import Foundation
import GraftSystem
import Testing

@Suite struct FaultTests {
    @Test func aSignalIsNoFailure() throws {
        for call in [SystemCall.open, .write, .synchronize, .rename] {
            try inScratch { folder in
                let path = folder + "/file"
                let plan = FaultPlan(.failure(.interrupted), at: call, number: 0, below: folder)
                try plan.whileInForce {
                    var file = try AtomicFile(replacing: path)
                    try file.write([1, 2, 3])
                    try file.commit()
                }
                #expect(plan.hasStruck, "\(call)")
                #expect(FileSystem.find(path)?.byteCount == 3)
            }
        }
    }

    @Test func shortWritesAreContinued() throws {
        try inScratch { folder in
            let path = folder + "/file"
            let bytes = (0..<100).map { UInt8($0) }
            let plan = FaultPlan(.shortCount, at: .write, number: 0, below: folder)
            try plan.whileInForce {
                var file = try AtomicFile(replacing: path)
                try file.write(bytes)
                try file.commit()
            }
            #expect(plan.callCount == 2)
            var read: [UInt8] = []
            try FileDescriptor(opening: path).forEachPiece { read += $0 }
            #expect(read == bytes)
        }
    }

    @Test(arguments: [SystemCall.open, .write, .synchronize, .rename])
    func aFailedFileLeavesTheOldOne(_ call: SystemCall) throws {
        try inScratch { folder in
            let path = folder + "/file"
            func write(_ bytes: [UInt8]) throws {
                var file = try AtomicFile(replacing: path)
                try file.write(bytes)
                try file.commit()
            }
            try write([1])
            for errno in [Errno.noSpace, .inputOutput] {
                let plan = FaultPlan(.failure(errno), at: call, number: 0, below: folder)
                #expect(throws: FileError.self) { try plan.whileInForce { try write([2, 3]) } }
                #expect(FileSystem.names(in: folder) == ["file"])
                #expect(FileSystem.find(path)?.byteCount == 1)
            }
            try write([2, 3])
            #expect(FileSystem.find(path)?.byteCount == 2)
        }
    }

    @Test func otherFoldersAreLeftAlone() throws {
        try inScratch { one in
            try inScratch { two in
                let plan = FaultPlan(.failure(.noSpace), at: .write, number: 0, below: one)
                try plan.whileInForce {
                    try FileDescriptor(opening: two + "/file", for: .writing, .create).write([1])
                }
                #expect(!plan.hasStruck)
            }
        }
    }
}
