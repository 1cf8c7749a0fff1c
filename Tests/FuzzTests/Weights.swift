// The readers of weights: files by their content, and the parts that checksums keep mutations from.

import Foundation
import GraftSystem
import GraftTensors
import OrderedCollections

@testable import GraftFormats

extension Parser {
    static let weights: [Parser] = [
        Parser(name: "safetensors", seeds: ["safetensors"]) { try open("x.safetensors", $0, $1) },
        Parser(name: "npy", seeds: ["npy"]) { try open("x.npy", $0, $1) },
        Parser(name: "zip", seeds: ["npz", "zip.pth"]) { try open("x.zip", $0, $1) },
        Parser(name: "torch", seeds: ["legacy.pth", "attack-legacy.pth"]) {
            try open("x.pth", $0, $1)
        },
        Parser(name: "onnx-weights", seeds: ["onnx"]) { try open("x.onnx", $0, $1) },
        Parser(name: "tflite", seeds: ["tflite"]) { try open("x.tflite", $0, $1) },
        // The library's default: libhdf5 finds what is there, and decodes nothing.
        Parser(name: "hdf5", seeds: ["h5"]) { bytes, bench in
            try open("x.h5", bytes, bench, isolation: .contiguousOnly)
        },
        Parser(name: "hdf5-answer", seeds: []) { bytes, bench in
            // What a parser that a file has subverted may answer.
            let listing: HDF5Listing
            do { listing = try JSONDecoder().decode(HDF5Listing.self, from: Data(bytes)) } catch {
                return
            }
            let source = Source(path: "x.h5", format: "HDF5")
            let storage = Storage([UInt8](repeating: 0, count: 4096))
            try load(
                listing.state(storage, 0..<storage.byteCount, source) { index in
                    throw source.unsupported(.needsDecoding(tensor: "\(index)"))
                })
        },
        Parser(name: "index", seeds: []) { bytes, bench in
            _ = try bench.file("small.safetensors", Corpus.fixture("formats/small.safetensors"))
            try open("x.safetensors.index.json", bytes, bench)
        },
        Parser(name: "pickle", seeds: []) { bytes, _ in
            try bytes.withUnsafeBytes { bytes in
                var cursor = try ByteCursor(bytes, in: Source(path: "x.pth", format: "torch"))
                let (value, machine) = try PickleMachine.run(&cursor)
                var places: [String: TorchFile.Place] = [:]
                let storage = Storage([UInt8](repeating: 0, count: 256))
                let place = TorchFile.Place(storage, 0..<256)
                for reference in machine.storages { places[reference.key] = place }
                try load(TorchTensors(machine, places, 4096, cursor.source).state(value).state)
            }
        },
        Parser(name: "checkpoint", seeds: ["index"]) { bytes, bench in
            _ = try bench.file(
                "x.data-00000-of-00001", Corpus.fixture("formats/parts.data-00000-of-00001"))
            try open("x.index", bytes, bench)
        },
        Parser(name: "checkpoint-entries", seeds: []) { bytes, bench in
            // A mutation never meets a checksum: they are made right here.
            _ = try bench.file("x.data-00000-of-00001", [UInt8](repeating: 0, count: 64))
            try open("x.index", SortedTableFile.around(bytes), bench)
        },
        Parser(name: "json", seeds: ["json"]) { bytes, _ in
            try bytes.withUnsafeBytes {
                _ = try JSONTree(strictly: $0, in: Source(path: "x.json", format: "JSON"))
            }
        },
        Parser(name: "parquet", seeds: []) { bytes, bench in
            let file = try ParquetFile(bench.file("x.parquet", bytes))
            for column in file.columns.indices {
                do {
                    let values = try file.values(column: column)
                    precondition(values.count == file.rowCount)
                    for value in values { try use(value, file) }
                } catch  where error is any Diagnostic {
                    // One column that cannot be decoded does not hide the next.
                }
            }
        },
        Parser(name: "tar", seeds: []) { bytes, bench in
            let path = try bench.file("x.tar", bytes)
            for member in try TarArchive.members(path) {
                precondition(member.range.upperBound <= bytes.count)
            }
        },
    ]

    /// Opens a file and loads what is of a reasonable size.
    static func open(
        _ name: String, _ bytes: some Collection<UInt8>, _ bench: Workbench,
        isolation: Isolation = .inProcess
    ) throws {
        try load(Checkpoint.open(bench.file(name, bytes), isolation: isolation))
    }

    private static func use(_ value: ParquetValue, _ file: ParquetFile) throws {
        switch value {
        case .bytes(let place): try file.withBytes(place) { _ = $0.last }
        case .list(let values): for value in values { try use(value, file) }
        default: break
        }
    }

    static func load(_ state: StateDict) throws {
        var left = 1 << 24
        for tensor in state.tensors.values where tensor.byteCount <= left {
            left -= tensor.byteCount
            do {
                let loaded = try tensor.load()
                precondition(loaded.shape == tensor.shape && loaded.dtype == tensor.dtype)
                loaded.withBytes { precondition($0.count == tensor.byteCount) }
            } catch  where error is any Diagnostic {
                // One weight that cannot be decoded does not hide the next.
            }
        }
    }
}

/// A table with one block of data that a stranger chose and checksums that are right.
enum SortedTableFile {
    static func around(_ data: [UInt8]) -> [UInt8] {
        let first = block(data)
        // One entry of the index: no shared bytes, a key of one, a handle of (0, count).
        let handle = [0] + varint(data.count)
        let index = block([0, 1, UInt8(handle.count), 0xFF] + handle + [0, 0, 0, 0, 1, 0, 0, 0])
        var footer = [0, 0] + varint(first.count) + varint(index.count - 5)
        footer += [UInt8](repeating: 0, count: 40 - footer.count)
        return first + index + footer + [0x57, 0xFB, 0x80, 0x8B, 0x24, 0x75, 0x47, 0xDB]
    }

    private static func block(_ data: [UInt8]) -> [UInt8] {
        var checksum = CRC32C()
        (data + [0]).withUnsafeBytes { checksum.update($0) }
        return data + [0] + (0..<4).map { UInt8(truncatingIfNeeded: checksum.masked >> ($0 * 8)) }
    }

    private static func varint(_ value: Int) -> [UInt8] {
        value < 128
            ? [UInt8(value)] : [UInt8(truncatingIfNeeded: value) | 0x80] + varint(value >> 7)
    }
}
