// Locks keep others out for as long as they live.

import Foundation
import GraftSystem
import Testing

@Suite struct LockTests {
    private func file(_ path: String) throws(FileError) -> FileDescriptor {
        try FileDescriptor(opening: path, for: .updating, .create)
    }

    /// Whether a lock can be had now.
    private func isFree(_ path: String, _ mode: LockedFile.Mode = .exclusive) throws -> Bool {
        try LockedFile(trying: file(path), mode) != nil
    }

    @Test func anExclusiveLockKeepsOthersOut() throws {
        try inScratch { folder in
            let path = folder + "/lock"
            do {
                let lock = try LockedFile(locking: file(path))
                #expect(LockedFile.isHeld(path))
                #expect(try !isFree(path))
                #expect(try !isFree(path, .shared))
                extendLifetime(lock)
            }
            #expect(!LockedFile.isHeld(path))
            #expect(try isFree(path))
        }
    }

    @Test func sharedLocksKeepOutExclusiveOnesOnly() throws {
        try inScratch { folder in
            let path = folder + "/lock"
            let one = try LockedFile(locking: file(path), .shared)
            #expect(try isFree(path, .shared))
            #expect(try !isFree(path))
            extendLifetime(one)
        }
    }
}
