// Indexes over several files, folders of weights, and names in them that lead elsewhere.

import Foundation
import GraftFormats
import GraftTensors
import OrderedCollections
import Testing

struct ShardsTests {
    /// A folder with the two files that an index would name.
    private func folder() throws -> Scratch {
        let scratch = try Scratch()
        for (name, tensor) in [("a", "x"), ("b", "y")] {
            let state = StateDict([tensor: LazyTensor(Tensor(quarters(4), shape: [4]))])
            try Safetensors.write(state, to: scratch.path("\(name).safetensors"))
        }
        return scratch
    }

    private func index(_ map: String, in scratch: Scratch) throws -> String {
        try scratch.file(
            "model.safetensors.index.json", Array("{\"metadata\": {}, \"weight_map\": \(map)}".utf8)
        )
    }

    @Test func anIndexIsItsFiles() throws {
        let scratch = try folder()
        let path = try index(#"{"y": "b.safetensors", "x": "a.safetensors"}"#, in: scratch)
        #expect(try Checkpoint.kind(of: path) == .shards)
        for place in [path, scratch.folder, scratch.folder + "/"] {
            let state = try Checkpoint.open(place)
            #expect(Array(state.tensors.keys) == ["y", "x"])
            #expect(try state["x"]?.load().floats == quarters(4))
        }
    }

    @Test func whatIsWrittenInShardsIsReadAgain() throws {
        let scratch = try Scratch()
        var state = StateDict(metadata: ["a": "b"])
        for number in 0..<10 {
            state["t\(number)"] = LazyTensor(Tensor(quarters(100), shape: [10, 10]))
        }
        let path = scratch.path("cut.safetensors")
        let paths = try Safetensors.write(state, to: path, shardByteCount: 1000)
        #expect(paths.count == 6)
        let read = try Checkpoint.open(paths[5])
        #expect(read.tensors.keys == state.tensors.keys)
        #expect(read.metadata == ["a": "b"])
        #expect(try read["t7"]?.load().floats == quarters(100))
    }

    @Test(arguments: [
        #"{"x": "../a.safetensors"}"#, #"{"x": "/etc/passwd"}"#, #"{"x": "none.safetensors"}"#,
        #"{"x": "model.safetensors.index.json"}"#, #"{"z": "a.safetensors"}"#, #"{"x": 1}"#,
        #"{"x": []}"#, #"{"x": "."}"#, #"{"x": "a.safetensors\u0000.txt"}"#, "[]", "1",
    ])
    func anIndexThatLies(_ map: String) throws {
        let scratch = try folder()
        let path = try index(map, in: scratch)
        let error = #expect(throws: (any Error).self) { try Checkpoint.open(path) }
        #expect(error is any Diagnostic)
    }

    @Test func aFolderWithoutOneChoiceNamesThem() throws {
        let scratch = try folder()
        let two = ["a.safetensors", "b.safetensors"]
        #expect(throws: FormatError.folder(path: scratch.folder, found: two)) {
            try Checkpoint.open(scratch.folder)
        }
        let empty = try Scratch()
        #expect(throws: FormatError.folder(path: empty.folder, found: [])) {
            try Checkpoint.open(empty.folder)
        }
    }
}
