// `graft bench`: its figures, and that no built-in network runs on oneDNN's slow reference code.

import Foundation
import Testing

@Suite struct BenchTests {
    private struct Answer: Decodable {
        let best_ms: Double
        let median_ms: Double
        let threads: Int
        let peak_gflops: Double
        let peak_gbps: Double
        let activation_bytes: Int
        let plan: [Line]
    }
    private struct Line: Decodable {
        let node: String
        let algorithm: String
        let ms: Double
        let gflops: Double
        let share: Double
        let roofline: Double
    }

    private func bench(_ arguments: [String], isa: String? = nil) throws -> Answer {
        let result = try Graft.run(
            arguments: ["bench"] + arguments + ["--untrained", "--json", "--runs", "1"],
            environment: isa.map { ["ONEDNN_MAX_CPU_ISA": $0] } ?? [:])
        #expect(result.status == 0, "\(result.errors)")
        return try JSONDecoder().decode(Answer.self, from: Data(result.output.utf8))
    }

    /// What users without AVX-512 get must be fast code too, whatever the test machine has.
    @Test(arguments: [
        "resnet50", "mobilenet", "mobilenetv2", "vgg16", "timm/tf_efficientnet_lite0",
        "torchvision/resnet18", "densenet121",
    ])
    func noLayerRunsOnReferenceCode(_ name: String) throws {
        for mode in [[], ["--train"]] where name != "densenet121" || mode == [] {
            let answer = try bench(
                [name, "--size", "33", "--batch", "2", "--threads", "1"] + mode, isa: "AVX2")
            #expect(answer.plan.count > 10)
            for line in answer.plan {
                #expect(
                    !line.algorithm.hasPrefix("ref"),
                    "\(name) \(mode): \(line.node) \(line.algorithm)")
            }
        }
    }

    @Test func threadsAreThoseAskedFor() throws {
        let answer = try bench(["graft/tiny", "--threads", "1"])
        #expect(answer.threads == 1)
        #expect(answer.best_ms > 0 && answer.best_ms <= answer.median_ms)
        #expect(answer.peak_gflops > 0 && answer.peak_gbps > 0)
        #expect(answer.plan.contains { $0.gflops > 0 && $0.roofline > 0 })
        #expect(answer.plan.allSatisfy { $0.ms >= 0 && (0...1).contains($0.share) })
        #expect(try Graft.run("bench", "graft/tiny", "--batch", "0").status == 64)
    }

    /// Values that are not needed at the same time lie at the same place.
    @Test func aBatchOfEightNeedsLessThanSixtyMegabytes() throws {
        let answer = try bench(["resnet50", "--batch", "8", "--threads", "1"])
        #expect(answer.activation_bytes < 60_000_000)
    }
}
