// TensorFlow's checkpoints and TFLite models: what their own writers wrote, and what lies.

import Foundation
import GraftFormats
import GraftTensors
import OrderedCollections
import Testing

struct TensorFlowTests {
    @Test(arguments: ["small.index", "small"]) func checkpoint(_ name: String) throws {
        let state = try Checkpoint.open(Fixture.path(name))
        #expect(state.axes == .keras)
        #expect(Set(state.tensors.keys) == ["w", "n", "h"])
        #expect(try state["w"]?.load().floats == quarters(6))
        #expect(state["n"]?.dtype == .i64)
        #expect(state["h"]?.dtype == .bf16)
        #expect(try state["h"]?.load().floats == quarters(4))
    }

    @Test func aVariableInPartsIsWhole() throws {
        let state = try Checkpoint.open(Fixture.path("parts"))
        #expect(state["emb"]?.shape == [4, 3])
        #expect(try state["emb"]?.load().floats == quarters(12))
    }

    @Test func tflite() throws {
        let state = try Checkpoint.open(Fixture.path("small.tflite"))
        #expect(state.axes == .tflite)
        #expect(state.tensors.count == 1)
        // TensorFlow Lite keeps matrices as (out, in).
        #expect(state.tensors.values.first?.shape == [2, 3])
        #expect(try state.tensors.values.first?.load().floats == [0, 0.5, 1, 0.25, 0.75, 1.25])
    }

    @Test func onnx() throws {
        let state = try Checkpoint.open(Fixture.path("small.onnx"))
        #expect(Array(state.tensors.keys) == ["w", "b"])
        #expect(try state["w"]?.load().floats == quarters(6))
        #expect(try state["b"]?.load().floats == quarters(2))
    }

    @Test func aDamagedNumberIsFoundByItsChecksum() throws {
        let scratch = try Scratch()
        _ = try scratch.file("x.index", Fixture.bytes("parts.index"))
        var data = try Fixture.bytes("parts.data-00000-of-00001")
        data[20] ^= 1
        _ = try scratch.file("x.data-00000-of-00001", data)
        let state = try Checkpoint.open(scratch.path("x"))
        let error = #expect(throws: FormatError.self) { try state["emb"]?.load() }
        #expect(error?.message.contains("checksum") == true)
    }

    /// Entries whose checksums are right and whose contents are not.
    @Test(arguments: Lie.allCases) func tablesThatLie(_ lie: Lie) throws {
        let scratch = try Scratch()
        _ = try scratch.file("x.data-00000-of-00001", [UInt8](repeating: 0, count: 16))
        _ = try scratch.file("x.index", lie.table)
        let error = #expect(throws: (any Error).self, "\(lie)") {
            try loadEverything(scratch.path("x.index"))
        }
        #expect(error is any Diagnostic, "\(lie): \(String(describing: error))")
    }

    enum Lie: CaseIterable {
        case noHeader, bigEndian, otherShard, pastTheEnd, negative, hugeShape, wrongSize
        case unknownType, missingPart, brokenProtobuf, manyKeys, wrongBlock, compressed, twice,
            sameBlock

        private static let header: [UInt8] = [8, 1]

        /// A float32 entry (dtype 1): `shape` a dimension, then offset and size.
        private static func entry(
            _ dimension: UInt64, offset: UInt64 = 0, size: UInt64 = 8, shard: UInt64 = 0,
            dtype: UInt64 = 1
        ) -> [UInt8] {
            let dim = [UInt8(0x08)] + varint(dimension)
            let shape = [UInt8(0x12)] + varint(UInt64(dim.count)) + dim
            return [0x08] + varint(dtype) + [0x12] + varint(UInt64(shape.count)) + shape + [0x18]
                + varint(shard) + [0x20] + varint(offset) + [0x28] + varint(size)
        }

        var table: [UInt8] {
            func one(_ value: [UInt8], header: [UInt8] = Lie.header) -> [UInt8] {
                Lie.file([([], header), (Array("w".utf8), value)])
            }
            switch self {
            case .noHeader: return Lie.file([(Array("w".utf8), Lie.entry(2))])
            case .bigEndian: return one(Lie.entry(2), header: [8, 1, 0x10, 1])
            case .otherShard: return one(Lie.entry(2, shard: 5))
            case .pastTheEnd: return one(Lie.entry(2, offset: 12))
            case .negative: return one(Lie.entry(2, offset: .max))
            case .hugeShape: return one(Lie.entry(1 << 62, size: 8))
            case .wrongSize: return one(Lie.entry(3))
            case .unknownType: return one(Lie.entry(2, dtype: 99))
            case .missingPart: return one(Lie.entry(2) + [0x3A, 4, 0x0A, 2, 0x10, 1])
            case .brokenProtobuf: return one([0x12, 200, 1, 1])
            case .manyKeys:
                // Long keys that share all but nothing: a few bytes that claim to be many.
                let long = [UInt8](repeating: 97, count: 6000)
                return Lie.file(
                    [([], Lie.header)] + (0..<400).map { (long + [UInt8($0 & 63)], []) })
            case .wrongBlock:
                var bytes = one(Lie.entry(2))
                bytes[bytes.count - 48 + 2] = 0xFF
                return bytes
            case .compressed: return Lie.file([([], Lie.header)], kind: 1)
            case .sameBlock:
                // An index of 1,000 entries that all name one block, of restarts and nothing else.
                let empty = Lie.block([], kind: 0, restarts: 4000)
                let entry: ([UInt8], [UInt8]) = ([0xFF], [0] + Lie.varint(UInt64(empty.count - 5)))
                let index = Lie.block([([UInt8], [UInt8])](repeating: entry, count: 1000), kind: 0)
                return Lie.joined(empty, index)
            case .twice:
                let entry = (Array("w".utf8), Lie.entry(2))
                return Lie.file([([], Lie.header), entry, entry])
            }
        }

        private static func varint(_ value: UInt64) -> [UInt8] {
            value < 128
                ? [UInt8(value)] : [UInt8(truncatingIfNeeded: value) | 0x80] + varint(value >> 7)
        }

        private static func little(_ value: UInt32) -> [UInt8] {
            (0..<4).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
        }

        private static func block(
            _ entries: [([UInt8], [UInt8])], kind: UInt8, restarts: UInt32 = 1
        ) -> [UInt8] {
            var bytes: [UInt8] = []
            var last: [UInt8] = []
            for (key, value) in entries {
                let shared = zip(last, key).prefix { $0 == $1 }.count
                bytes += varint(UInt64(shared)) + varint(UInt64(key.count - shared))
                bytes += varint(UInt64(value.count)) + key[shared...] + value
                last = key
            }
            bytes += (0..<restarts).flatMap { _ in little(0) } + little(restarts)
            var crc = UInt32.max
            for byte in bytes + [kind] {
                crc ^= UInt32(byte)
                for _ in 0..<8 { crc = crc & 1 == 0 ? crc >> 1 : crc >> 1 ^ 0x82F6_3B78 }
            }
            crc = ~crc
            return bytes + [kind] + little((crc >> 15 | crc << 17) &+ 0xA282_EAD8)
        }

        private static func file(_ entries: [([UInt8], [UInt8])], kind: UInt8 = 0) -> [UInt8] {
            let data = block(entries, kind: kind)
            return joined(
                data, block([([0xFF], [0] + varint(UInt64(data.count - 5)))], kind: 0))
        }

        private static func joined(_ data: [UInt8], _ index: [UInt8]) -> [UInt8] {
            var footer = [UInt8](repeating: 0, count: 2)
            footer += varint(UInt64(data.count)) + varint(UInt64(index.count - 5))
            footer += [UInt8](repeating: 0, count: 40 - footer.count)
            return data + index + footer + [0x57, 0xFB, 0x80, 0x8B, 0x24, 0x75, 0x47, 0xDB]
        }
    }
}
