// Headers of safetensors files that lie: each is refused for its own cause.

import GraftFormats
import GraftTensors
import Testing

struct SafetensorsFlawTests {
    /// One row per way in which a header can contradict the format, and the cause it is refused for.
    static let lies: [(header: String, cause: FormatFlaw)] = [
        (
            #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#,
            span("a", [2], expected: 8, 0, 4)
        ),
        (
            #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
            .safetensors(.hole(before: "a", expected: 0, found: 4))
        ),
        (
            #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
            .safetensors(.unusedBytes(expected: 4, found: 8))
        ),
        (
            #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[0],"data_offsets":[8,8]}}"#,
            .json(.repeatedName("a"), line: 1)
        ),
        (
            #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
            .safetensors(.overlap(tensor: "b", expected: 8, found: 4))
        ),
        (
            #"{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}"#,
            .safetensors(.outside(tensor: "a", end: 16, dataCount: 8))
        ),
        (
            #"{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}"#,
            .safetensors(.incompleteEntry(tensor: "a"))
        ),
        (
            #"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}}"#,
            span("a", [1 << 62, 4], expected: nil, 0, 8)
        ),
        (
            #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#,
            span("a", [2], expected: 8, 8, 0)
        ),
        (
            #"{"__metadata__":{"x":1},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#,
            .safetensors(.metadataNotText(key: "x"))
        ),
        (#"{"__metadata__":[]}"#, .safetensors(.metadataNotObject)),
        (#"{"a":{"dtype":"F32","shape":[2]}}"#, .safetensors(.incompleteEntry(tensor: "a"))),
        (#"["a"]"#, .safetensors(.noBrace)),
        (#"{"a":"#, .json(.expected("a value", found: "the end of the file"), line: 1)),
        (
            "{}x", .json(.expected("the end of the file", found: "`x`"), line: 1)
        ),
        (
            "{\"a\":" + String(repeating: "[", count: 5000), .json(.tooDeep(limit: 64), line: 1)
        ),
    ]

    private static func span(
        _ name: String, _ shape: Shape, expected: Int?, _ begin: Int, _ end: Int
    ) -> FormatFlaw {
        .safetensors(
            .wrongSpan(
                tensor: name, dtype: .f32, shape: shape, expected: expected, begin: begin, end: end)
        )
    }

    /// A file of this header and eight bytes of data.
    private func file(header: String, in scratch: Scratch) throws -> String {
        let count = UInt64(header.utf8.count)
        let bytes =
            (0..<8).map { UInt8(truncatingIfNeeded: count >> ($0 * 8)) } + Array(header.utf8)
            + [UInt8](repeating: 0, count: 8)
        return try scratch.file("lie.safetensors", bytes)
    }

    @Test(arguments: lies) func safetensorsHeadersThatLie(
        _ lie: (header: String, cause: FormatFlaw)
    ) throws {
        let scratch = try Scratch()
        let path = try file(header: lie.header, in: scratch)
        #expect(
            throws: FormatError.malformed(path: path, format: "safetensors", lie.cause)
        ) { try Safetensors.read(path) }
    }

    @Test func anUnknownTypeIsNamed() throws {
        let scratch = try Scratch()
        let path = try file(
            header: #"{"a":{"dtype":"F31","shape":[2],"data_offsets":[0,8]}}"#, in: scratch)
        #expect(
            throws: FormatError.unsupported(path: path, .typeName(tensor: "a", "F31"))
        ) { try Safetensors.read(path) }
    }

    /// An escape of half a character.
    @Test func aLoneSurrogateIsRefused() throws {
        let scratch = try Scratch()
        let path = try file(header: #"{"\ud800":1}"#, in: scratch)
        #expect(throws: (any Error).self) { try Safetensors.read(path) }
    }

    @Test(arguments: [100_000_001, UInt64.max, 1 << 40])
    func aHeaderLengthBeyondTheLimitIsRefused(_ length: UInt64) throws {
        let scratch = try Scratch()
        let bytes = (0..<8).map { UInt8(truncatingIfNeeded: length >> ($0 * 8)) }
        let path = try scratch.file("long.safetensors", bytes + Array("{}".utf8))
        let flaw = SafetensorsFlaw.headerTooLarge(length, limit: 100_000_000)
        #expect(
            throws: FormatError.malformed(path: path, format: "safetensors", .safetensors(flaw))
        ) { try Safetensors.read(path) }
    }
}
