// Files that lie, stop early, or were damaged: readers throw, and never crash or run anything.

import Foundation
import GraftFormats
import GraftSystem
import GraftTensors
import Testing

struct HostileFileTests {
    @Test(arguments: ["attack.pth", "attack-legacy.pth"])
    func pickledCodeIsNamedAndNotRun(_ name: String) throws {
        let path = Fixture.path(name)
        #expect(throws: FormatError.unsupported(path: path, .pickledProgram("posix.system"))) {
            try Checkpoint.open(path)
        }
        #expect(!FileManager.default.fileExists(atPath: "/tmp/graft-was-attacked"))
    }

    @Test func externalLinksAreRefused() {
        let path = Fixture.path("links.h5")
        let error = #expect(throws: FormatError.self) { try Checkpoint.open(path) }
        guard case .unsupported(path, .link) = error else {
            Issue.record("expected a link to be refused, found \(String(describing: error))")
            return
        }
    }

    @Test func anUnknownFileIsNamed() throws {
        let scratch = try Scratch()
        let path = scratch.path("x")
        for (bytes, error) in [
            ([1], .unknownFormat(path: path)), ([], .foreign(path: path, .empty)),
            (Array("hello, world".utf8), .foreign(path: path, .text(start: "hello, world"))),
        ] as [([UInt8], FormatError)] {
            _ = try scratch.file("x", bytes)
            #expect(throws: error) { try Checkpoint.open(path) }
        }
        #expect(throws: FileError(.open, at: "/nowhere/x.h5", .noSuchFile)) {
            try Checkpoint.open("/nowhere/x.h5")
        }
    }

    static let small = [
        "small.safetensors", "small.npy", "fortran.npy", "small.npz", "deflated.npz", "zip.pth",
        "legacy.pth", "small.onnx",
    ]
    /// A part of a flatbuffer or of a row of files may do without its end.
    static let tolerant = ["small.tflite"]
    static let hdf5 = [
        "legacy.h5", "keras1.h5", "chunked.h5", "small.weights.h5", "small.keras",
        "bfloat16.weights.h5", "deflated.npz", "cycle.h5",
    ]

    /// No proper prefix of a file is a file.
    @Test(arguments: HostileFileTests.small) func truncation(_ name: String) throws {
        let scratch = try Scratch()
        let bytes = try Fixture.bytes(name)
        for count in 0..<bytes.count {
            let path = try scratch.file("cut", Array(bytes[..<count]))
            #expect(throws: (any Error).self, "cut to \(count)") { try loadEverything(path) }
        }
    }

    /// libhdf5 checks the length of a file when it opens it.
    @Test(arguments: HostileFileTests.hdf5) func truncationOfHDF5(_ name: String) throws {
        let scratch = try Scratch()
        let bytes = try Fixture.bytes(name)
        for count in stride(from: 0, to: bytes.count, by: bytes.count / 20) {
            let path = try scratch.file("cut", Array(bytes[..<count]))
            #expect(throws: (any Error).self, "cut to \(count)") {
                try loadEverything(path, isolation: Fixture.isolation)
            }
        }
    }

    /// A damaged file is read or refused; what the process must not do is end.
    @Test(arguments: HostileFileTests.small)
    func flippedBytes(_ name: String) throws { try flip(name, times: 300) }

    @Test(arguments: HostileFileTests.tolerant)
    func truncationAndDamageAreExplained(_ name: String) throws {
        let scratch = try Scratch()
        let bytes = try Fixture.bytes(name)
        for count in 0..<bytes.count {
            let path = try scratch.file("cut", Array(bytes[..<count]))
            do { try loadEverything(path) } catch {
                #expect(error is any Diagnostic, "cut to \(count): \(error)")
            }
        }
        try flip(name, times: 600)
    }

    /// Either file of a checkpoint, cut and damaged beside the other.
    @Test(arguments: ["small", "parts"]) func damagedCheckpoints(_ name: String) throws {
        let suffixes = [".index", ".data-00000-of-00001"]
        for suffix in suffixes {
            let scratch = try Scratch()
            for other in suffixes {
                _ = try scratch.file("x" + other, Fixture.bytes(name + other))
            }
            let bytes = try Fixture.bytes(name + suffix)
            for count in 0..<bytes.count {
                _ = try scratch.file("x" + suffix, Array(bytes[..<count]))
                #expect(throws: (any Error).self, "cut to \(count)") {
                    try loadEverything(scratch.path("x"))
                }
            }
            for place in bytes.indices {
                var damaged = bytes
                damaged[place] ^= 0x11
                _ = try scratch.file("x" + suffix, damaged)
                do { try loadEverything(scratch.path("x")) } catch {
                    #expect(error is any Diagnostic, "byte \(place): \(error)")
                }
            }
        }
    }

    /// libhdf5 itself dies on some of these, in its own process: then that is the error.
    @Test(arguments: HostileFileTests.hdf5)
    func flippedBytesOfHDF5(_ name: String) throws {
        try flip(name, times: 50, isolation: Fixture.isolation)
    }

    private func flip(_ name: String, times: Int, isolation: Isolation = .inProcess) throws {
        let scratch = try Scratch()
        let original = try Fixture.bytes(name)
        var random: UInt64 = 0x9E37_79B9_7F4A_7C15
        func next(_ bound: Int) -> Int {
            random ^= random << 13
            random ^= random >> 7
            random ^= random << 17
            return Int(random % UInt64(bound))
        }
        for _ in 0..<times {
            var bytes = original
            for _ in 0...next(3) { bytes[next(bytes.count)] = UInt8(next(256)) }
            let path = try scratch.file("flipped", bytes)
            do { try loadEverything(path, isolation: isolation) } catch {
                #expect(error is any Diagnostic, "\(error)")
            }
        }
    }

    /// A few bytes that claim to be gigabytes are refused before anything is made of them.
    @Test func zipBombs() throws {
        let scratch = try Scratch()
        var bytes = try Fixture.bytes("deflated.npz")
        // The uncompressed size in the directory: 24 bytes after its first signature.
        let entry = try #require(
            bytes.indices.first { bytes[$0...].starts(with: [0x50, 0x4B, 1, 2]) })
        bytes.replaceSubrange((entry + 24)..<(entry + 28), with: [0, 0, 0, 0x70])
        for isolation in [Isolation.inProcess, Fixture.isolation] {
            let path = try scratch.file("bomb.npz", bytes)
            #expect(throws: FormatError.self) { try loadEverything(path, isolation: isolation) }
        }
    }

    /// Two entries of the directory with one file behind them: many of those would be a bomb.
    @Test func overlappingMembers() throws {
        let scratch = try Scratch()
        let bytes = try Fixture.bytes("deflated.npz")
        let start = try #require(
            bytes.indices.first { bytes[$0...].starts(with: [0x50, 0x4B, 1, 2]) })
        let end = try #require(
            bytes.indices.first { bytes[$0...].starts(with: [0x50, 0x4B, 5, 6]) })
        let entry = Array(bytes[start..<end])
        var directory: [UInt8] = []
        for letter in UInt8(ascii: "a")...UInt8(ascii: "z") {
            var copy = entry
            copy[46] = letter
            directory += copy
        }
        var record = Array(bytes[end...])
        record[10] = 26
        let lie = bytes[..<start] + directory + record
        // 26 entries of 62 bytes and their one file are smaller than 26 files.
        let path = try scratch.file("overlap.npz", Array(lie))
        #expect(throws: FormatError.malformed(path: path, format: "zip", .zip(.overlap))) {
            try Checkpoint.open(path)
        }
    }

    /// A group that holds itself under two names has more paths than can be walked.
    @Test func groupsThatContainThemselves() throws {
        for isolation in [Isolation.contiguousOnly, Fixture.isolation] {
            let path = Fixture.path("cycle.h5")
            #expect(
                throws: FormatError.malformed(
                    path: path, format: "hdf5", .hdf5(.deepGroups(limit: 64)))
            ) { try Checkpoint.open(path, isolation: isolation) }
        }
    }

    /// A pipe has no end that a mapping could wait for.
    @Test func pipesAreRefusedAtOnce() throws {
        let scratch = try Scratch()
        #expect(mkfifo(scratch.path("pipe"), 0o600) == 0)
        #expect(throws: FileError(.open, at: scratch.path("pipe"), .isFolder)) {
            try Checkpoint.open(scratch.path("pipe"))
        }
    }

    /// Extents of nothing do not hide strides that overflow.
    @Test func hugeExtentsOfNothing() throws {
        #expect(Shape([0, 1 << 62, 1 << 62]).checkedCount == nil)
        #expect(Shape([0, 1 << 62]).checkedCount == 0)
        #expect(Shape([0, 1 << 62]).checkedByteCount(.f64) == nil)
        #expect(Shape([0, -1]).checkedCount == nil)
    }

    /// Tables of a flatbuffer may be named from many places: 300 × 300 tensors in a few kilobytes.
    @Test func tablesThatAreNamedManyTimes() throws {
        func words(_ values: [Int]) -> [UInt8] {
            values.flatMap { value in (0..<4).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) } }
        }
        // A table of fields 0 to `fields.count` that are offsets to what is said, nil where there is none.
        var file: [UInt8] = words([0]) + Array("TFL3".utf8)
        func table(_ targets: [Int?]) -> Int {
            let vtable = file.count
            let size = 4 + targets.count * 2
            var words16 = [size, 4 + targets.count * 4]
            for (index, target) in targets.enumerated() {
                words16.append(target == nil ? 0 : 4 + index * 4)
            }
            for word in words16 { file += [UInt8(word & 0xFF), UInt8(word >> 8)] }
            while file.count % 4 != 0 { file.append(0) }
            let place = file.count
            file += words([place - vtable])
            for (index, target) in targets.enumerated() {
                file += words([target.map { $0 - (place + 4 + index * 4) } ?? 0])
            }
            return place
        }
        // Offsets lead forwards only: what is pointed to is written after, so vectors are patched.
        func vector(_ count: Int) -> Int {
            let place = file.count
            file += words([count]) + [UInt8](repeating: 0, count: count * 4)
            return place
        }
        func point(_ vector: Int, _ count: Int, to target: Int) {
            for index in 0..<count {
                let at = vector + 4 + index * 4
                file.replaceSubrange(at..<(at + 4), with: words([target - at]))
            }
        }
        let root = table([nil, nil, 0, nil, 0])
        file.replaceSubrange(0..<4, with: words([root]))
        func patch(_ field: Int, to target: Int, in table: Int) {
            let at = table + 4 + field * 4
            file.replaceSubrange(at..<(at + 4), with: words([target - at]))
        }
        let (subgraphs, buffers) = (vector(300), vector(1))
        patch(2, to: subgraphs, in: root)
        patch(4, to: buffers, in: root)
        let subgraph = table([0])
        point(subgraphs, 300, to: subgraph)
        let tensors = vector(300)
        patch(0, to: tensors, in: subgraph)
        let tensor = table([0])
        point(tensors, 300, to: tensor)
        let shape = file.count
        file += words([1, 2])
        patch(0, to: shape, in: tensor)
        let buffer = table([0])
        point(buffers, 1, to: buffer)
        let data = file.count
        file += words([8]) + [UInt8](repeating: 0, count: 8)
        patch(0, to: data, in: buffer)
        let scratch = try Scratch()
        let path = try scratch.file("many.tflite", file)
        #expect(throws: FormatError.malformed(path: path, format: "TFLite", .tflite(.largeTables)))
        {
            try Checkpoint.open(path)
        }
    }

    @Test func aParserThatIsKilledIsAnError() throws {
        let dies = Isolation.process(program: "/bin/false")
        let path = Fixture.path("legacy.h5")
        #expect(
            throws: FormatError.malformed(
                path: path, format: "hdf5", .parser(.stopped(status: 1)))
        ) { try Checkpoint.open(path, isolation: dies) }
        let missing = Isolation.process(program: "/nowhere/graft")
        #expect(throws: FileError("run", at: "/nowhere/graft", .noSuchFile)) {
            try Checkpoint.open(path, isolation: missing)
        }
    }

    @Test func withoutAChildNothingIsDecoded() throws {
        let state = try Checkpoint.open(Fixture.path("chunked.h5"), isolation: .contiguousOnly)
        #expect(try state["half"]?.load().floats == quarters(3))
        #expect(
            throws: FormatError.unsupported(
                path: Fixture.path("chunked.h5"), .needsDecoding(tensor: "deflated"))
        ) { try state["deflated"]?.load() }
        let trusted = try Checkpoint.open(Fixture.path("chunked.h5"), isolation: .inProcess)
        #expect(try trusted["deflated"]?.load().floats == quarters(32))
    }
}
