// Files that earlier versions of graft wrote open for ever and answer as they did.

import Foundation
import Testing

/// Reads `Tests/Fixtures/models/<version>`, which `generate_models.py` made with the program of that
/// version.
@Suite(.serialized) struct GoldenModelTests {
    /// What the program that wrote the files answered.
    private struct Answers: Decodable {
        struct Model: Decodable {
            var shape: [Int]
            var values: [Double]
            var predict: [[Prediction]]?
        }
        struct Prediction: Decodable {
            var label: String?
            var name: String?
            var probability: Double?
            var value: Double?
        }
        var models: [String: Model]
        var resumed: [String]
    }

    private static let tests = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().path
    private static let golden = tests + "/Fixtures/models/0.1"
    private static let names = [
        "backbone", "calibrated", "channels_last", "classification", "detection", "embedding",
        "int8", "knn", "logistic", "mlp", "multilabel", "operations", "regression",
    ]

    private let folder = FileManager.default.temporaryDirectory
        .appendingPathComponent("graft-golden-\(UUID().uuidString)").path

    private func answers() throws -> Answers {
        let data = try #require(FileManager.default.contents(atPath: Self.golden + "/answers.json"))
        return try JSONDecoder().decode(Answers.self, from: data)
    }

    private func graft(_ arguments: [String]) throws -> Graft.Result {
        let result = try Graft.run(
            arguments: arguments, environment: ["GRAFT_CACHE": folder + "/cache"], in: folder)
        try #require(result.status == 0, "graft \(arguments): \(result.errors)")
        return result
    }

    /// The file of a model; a detector's weights are a formula, and only its header is kept.
    private func file(_ name: String) throws -> String {
        let head = "\(Self.golden)/\(name).head"
        guard var bytes = FileManager.default.contents(atPath: head) else {
            return "\(Self.golden)/\(name).safetensors"
        }
        let metadata = try JSONSerialization.jsonObject(with: bytes.dropFirst(8))
        let entries = try #require(metadata as? [String: Any])
        let end = entries.values.compactMap {
            (($0 as? [String: Any])?["data_offsets"] as? [Int])?.last
        }.max()
        for index in 0..<(try #require(end) / 4) {
            let value = Float((index * 7919) % 1000 - 500) / 20000 + 0.03
            withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes.append(contentsOf: $0) }
        }
        let path = "\(folder)/\(name).safetensors"
        try bytes.write(to: URL(filePath: path))
        return path
    }

    /// Two images of values from 0 to 1, as the generator computes them.
    private func writeInput(size: Int) throws {
        var header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3, \(size), \(size)), }"
        header += String(repeating: " ", count: 127 - 10 - header.utf8.count) + "\n"
        var bytes = Data([0x93]) + Data("NUMPY".utf8) + Data([1, 0, UInt8(header.utf8.count), 0])
        bytes += Data(header.utf8)
        for index in 0..<(2 * 3 * size * size) {
            let value = Float(index * 7919 % 1000) / 1000
            withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes.append(contentsOf: $0) }
        }
        try bytes.write(to: URL(filePath: folder + "/x.npy"))
    }

    /// The shape and the values of a little-endian single-precision `.npy`.
    private func readOutput() throws -> (shape: String, values: [Double]) {
        let bytes = [UInt8](
            try #require(FileManager.default.contents(atPath: folder + "/y.npy")))
        let start = 10 + Int(bytes[8]) + Int(bytes[9]) << 8
        let header = String(decoding: bytes[10..<start], as: UTF8.self)
        let values = stride(from: start, to: bytes.count - 3, by: 4).map { place in
            let bits = (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[place + $1]) << (8 * $1) }
            return Double(Float(bitPattern: bits))
        }
        return (header, values)
    }

    private func inFolder(_ body: () throws -> Void) throws {
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try body()
    }

    @Test(arguments: names) func answersAsBefore(name: String) throws {
        try inFolder {
            let expected = try #require(try answers().models[name])
            let path = try file(name)
            try writeInput(size: name == "channels_last" ? 16 : 32)
            _ = try graft([
                "run", path, "--input", "x.npy", "--output", "y.npy", "--accuracy", "exact",
            ])
            let output = try readOutput()
            let shape = expected.shape.map { "\($0)" }.joined(separator: ", ")
            #expect(output.shape.contains("(\(shape))"))
            let largest = expected.values.map(abs).max() ?? 1
            for (found, wanted) in zip(output.values, expected.values) {
                #expect(abs(found - wanted) <= 1e-4 * max(largest, 1))
            }
            guard let predicted = expected.predict else { return }
            let images = ["plain.png", "turned.jpg"].map { Self.tests + "/Fixtures/images/" + $0 }
            let answer = try graft(["predict", path] + images + ["--json"]).output
            let json = try JSONSerialization.jsonObject(with: Data(answer.utf8))
            let rows = try #require((json as? [String: Any])?["photos"] as? [[String: Any]])
            #expect(rows.count == predicted.count)
            for (row, wanted) in zip(rows, predicted) {
                let found = try #require((row["predictions"] ?? row["values"]) as? [[String: Any]])
                #expect(found.count == wanted.count)
                for (one, other) in zip(found, wanted) {
                    #expect((one["label"] ?? one["name"]) as? String == other.label ?? other.name)
                    let number = try #require((one["probability"] ?? one["value"]) as? Double)
                    let reference = try #require(other.probability ?? other.value)
                    #expect(abs(number - reference) <= 1e-3 * max(1, abs(reference)))
                }
            }
        }
    }

    /// An unfinished run resumes to what it would have become.
    @Test func resumesAnUnfinishedRun() throws {
        try inFolder {
            for name in ["unfinished", "backbone.safetensors"] {
                try FileManager.default.copyItem(
                    atPath: "\(Self.golden)/\(name)", toPath: "\(folder)/\(name)")
            }
            _ = try graft(["draw", "drawn", "--classes", "3", "--count", "8", "--size", "40"])
            _ = try graft([
                "train", "drawn", "--backbone", "backbone.safetensors", "--mode", "finetune",
                "--unfreeze", "all", "--optimizer", "adamw", "--lr", "0.01", "--seed", "5",
                "-o", "unfinished", "--epochs", "4", "--resume",
            ])
            let log = try String(contentsOfFile: folder + "/unfinished/log.csv", encoding: .utf8)
            let lines = log.split(separator: "\n")
            let expected = try answers().resumed
            #expect(lines.count == expected.count)
            for (line, wanted) in zip(lines, expected).dropFirst() {
                for (found, other) in zip(line.split(separator: ","), wanted.split(separator: ","))
                {
                    let (number, reference) = (Double(found) ?? .nan, Double(other) ?? .nan)
                    #expect(abs(number - reference) <= 1e-3 * max(1, abs(reference)))
                }
            }
        }
    }

    /// Features that an earlier version kept are used or passed over; they change no figure.
    @Test func keptFeaturesChangeNothing() throws {
        try inFolder {
            try FileManager.default.createDirectory(
                atPath: folder + "/cache", withIntermediateDirectories: true)
            try FileManager.default.copyItem(
                atPath: Self.golden + "/backbone.safetensors",
                toPath: folder + "/backbone.safetensors")
            _ = try graft(["draw", "drawn", "--classes", "3", "--count", "8", "--size", "40"])
            func log(of run: String) throws -> String {
                _ = try graft([
                    "train", "drawn", "--backbone", "backbone.safetensors", "--epochs", "2",
                    "-o", run,
                ])
                return try String(contentsOfFile: "\(folder)/\(run)/log.csv", encoding: .utf8)
            }
            try FileManager.default.copyItem(
                atPath: Self.golden + "/features", toPath: folder + "/cache/features")
            let kept = try log(of: "kept").split(separator: "\n")
            try FileManager.default.removeItem(atPath: folder + "/cache")
            let fresh = try log(of: "fresh").split(separator: "\n")
            #expect(kept.count == fresh.count && kept.count == 3)
            for (line, other) in zip(kept, fresh).dropFirst() {
                for (one, two) in zip(line.split(separator: ","), other.split(separator: ",")) {
                    #expect(abs((Double(one) ?? .nan) - (Double(two) ?? .nan)) <= 1e-4)
                }
            }
        }
    }
}
