// Pickles that would run code, nest without end or describe tensors that cannot be.

import Foundation
import GraftFormats
import GraftTensors
import Testing

struct HostilePickleTests {
    /// What PyTorch wrote before 1.6: magic, protocol 1001, an empty system, then `pickle`.
    private func legacy(_ pickle: [UInt8], storages: [UInt8] = []) -> [UInt8] {
        let magic: [UInt8] = [
            0x80, 0x02, 0x8A, 0x0A, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19,
            0x2E,
        ]
        return magic + [0x80, 0x02, 0x4D, 0xE9, 0x03, 0x2E] + [0x80, 0x02, 0x7D, 0x2E]
            + pickle + storages
    }

    private func refused(_ pickle: [UInt8], _ label: String) throws -> String {
        let scratch = try Scratch()
        let path = try scratch.file("x.pth", legacy(pickle, storages: [0x80, 0x02, 0x5D, 0x2E]))
        let error = #expect(throws: FormatError.self, "\(label)") { try loadEverything(path) }
        return error?.message ?? ""
    }

    /// Every opcode that graft does not know is refused by its number.
    @Test func everyOtherOpcodeIsRefused() throws {
        // INST, OBJ, PERSID, EXT1, EXT2, EXT4, NEWOBJ_EX, NEXT_BUFFER, FROZENSET.
        for opcode: UInt8 in [0x69, 0x6F, 0x50, 0x82, 0x83, 0x84, 0x92, 0x97, 0x91, 0, 0xFF] {
            let message = try refused([0x80, 2, opcode, 0x2E], "\(opcode)")
            #expect(message.contains("opcode \(opcode)"))
        }
    }

    @Test(arguments: [
        "os system", "builtins eval", "builtins getattr", "torch load", "torch._utils _rebuild",
        "torch.hub load", "collections defaultdict", "numpy.core.multiarray _reconstruct",
    ])
    func everyOtherClassIsRefused(_ name: String) throws {
        let parts = name.split(separator: " ")
        let message = try refused(
            Array("c\(parts[0])\n\(parts[1])\n".utf8) + [0x29, 0x52, 0x2E], name)
        #expect(message.contains("\(parts[0]).\(parts[1])"))
        #expect(message.contains("never run"))
    }

    @Test func structuresWithoutEnd() throws {
        // A list that holds itself; a dictionary that does; a tuple in a tuple, 100,000 times.
        _ = try refused([0x5D, 0x71, 0, 0x68, 0, 0x61, 0x2E], "list in itself")
        _ = try refused([0x7D, 0x71, 0, 0x4B, 1, 0x68, 0, 0x73, 0x2E], "dictionary in itself")
        _ = try refused([0x29] + [UInt8](repeating: 0x85, count: 100_000) + [0x2E], "deep")
        // Lists of ten references each to the one before: ten to the power of thirty.
        var laughs: [UInt8] = [0x5D, 0x71, 0]
        for level in UInt8(1)..<30 {
            laughs += [0x5D, 0x71, level, 0x28]
            for _ in 0..<10 { laughs += [0x68, level - 1] }
            laughs += [0x65]
        }
        _ = try refused(laughs + [0x2E], "a billion laughs")
    }

    /// One list of 2,100 pairs that fills 2,000 dictionaries; a name of many names.
    @Test func fewBytesThatBecomeMany() throws {
        let pair: [UInt8] = [0x4B, 1, 0x4B, 2, 0x86]
        let pairs: [UInt8] =
            [0x5D, 0x71, 0, 0x28] + [[UInt8]](repeating: pair, count: 2100).joined() + [0x65]
        let dictionary: [UInt8] =
            Array("ccollections\nOrderedDict\n".utf8) + [0x68, 0, 0x85, 0x52]
        let many: [UInt8] =
            pairs + [[UInt8]](repeating: dictionary, count: 2001).joined() + [0x2E]
        #expect(try refused(many, "copies").contains("copies over"))
        let key: [UInt8] = [0x58, 0, 0x08, 0, 0] + [UInt8](repeating: 97, count: 2048)
        let nested: [UInt8] =
            [0x7D] + key + [0x7D] + key + [0x7D] + key + [0x4B, 1, 0x73, 0x73, 0x73]
        #expect(try refused(nested + [0x2E], "names").contains("expected at most 4096"))
    }

    /// One is less than 1,000 times as large as the file, which views may be; three together are more.
    @Test func viewsThatAreTooLargeTogether() throws {
        let one = Array(tensor(0, [40_000], [0]).dropLast())
        #expect(try open(one + [0x2E])["tensor"]?.byteCount == 160_000)
        #expect(throws: FormatError.self) { try open([0x28] + one + one + one + [0x74, 0x2E]) }
    }

    @Test(
        arguments: [
            [0x2E], [0x61, 0x2E], [0x73, 0x2E], [0x75, 0x2E], [0x65, 0x2E], [0x74, 0x2E],
            [0x68, 7, 0x2E], [0x71, 0, 0x2E], [0x30, 0x2E], [0x31, 0x2E], [0x28, 0x2E],
            [0x52, 0x2E], [0x4B, 1, 0x4B, 2, 0x52, 0x2E], [0x62, 0x2E], [0x51, 0x2E],
            [0x58, 0xFF, 0xFF, 0xFF, 0xFF, 0x2E], [0x8D, 255, 255, 255, 255, 255, 255, 255, 127],
            [0x8B, 0xFF, 0xFF, 0xFF, 0xFF, 0x2E], [0x80, 9, 0x2E], [0x95], [0x93, 0x2E],
        ] as [[UInt8]])
    func operationsOnNothing(_ pickle: [UInt8]) throws { _ = try refused(pickle, "\(pickle)") }

    /// `_rebuild_tensor_v2` of one storage with this offset, these sizes and strides.
    private func tensor(_ offset: Int64, _ sizes: [Int64], _ strides: [Int64]) -> [UInt8] {
        func text(_ text: String) -> [UInt8] { [0x8C, UInt8(text.utf8.count)] + Array(text.utf8) }
        func integer(_ value: Int64) -> [UInt8] {
            [0x8A, 8] + (0..<8).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
        }
        func tuple(_ values: [Int64]) -> [UInt8] { [0x28] + values.flatMap(integer) + [0x74] }
        let storage =
            [0x28] + text("storage") + Array("ctorch\nFloatStorage\n".utf8) + text("0")
            + text("cpu") + integer(4) + [0x4E, 0x74, 0x51]
        return Array("ctorch._utils\n_rebuild_tensor_v2\n".utf8) + [0x28] + storage
            + integer(offset) + tuple(sizes) + tuple(strides) + [0x89, 0x7D, 0x74, 0x52, 0x2E]
    }

    private func open(_ pickle: [UInt8]) throws -> StateDict {
        let scratch = try Scratch()
        let keys: [UInt8] = [0x80, 2, 0x5D, 0x8C, 1, 0x30, 0x61, 0x2E]
        let data = [4, 0, 0, 0, 0, 0, 0, 0] + [UInt8](repeating: 0, count: 16)
        return try Checkpoint.open(
            try scratch.file("x.pth", legacy(pickle, storages: keys + data)))
    }

    @Test func aTensorInItsStorageIsRead() throws {
        #expect(try open(tensor(0, [2, 2], [2, 1]))["tensor"]?.shape == [2, 2])
    }

    @Test(
        arguments: [
            (0, [5], [1]), (3, [2], [1]), (0, [2, 3], [2, 1]), (-1, [1], [1]), (0, [-1], [1]),
            (0, [2], [-1]), (0, [.max], [1]), (0, [.max, .max], [1, 1]), (0, [2], [.max]),
            (.max, [2], [1]), (0, [1 << 40], [0]), (0, [2, 2], [1]),
        ] as [(Int64, [Int64], [Int64])])
    func tensorsThatCannotBe(_ offset: Int64, _ sizes: [Int64], _ strides: [Int64]) throws {
        #expect(throws: FormatError.self) { try open(tensor(offset, sizes, strides)) }
    }
}
