// Every operation by itself: its form in files, what it yields, what it refuses.

import Foundation
import GraftNetworks
import GraftTensors
import Testing

/// One of each operation.
private let all: [Op] = [
    .input(channels: 3), .conv2d(outputs: 4, window: Window(kernel: 3), groups: 1, bias: true),
    .convTranspose2d(
        outputs: 4, window: Window(kernel: 2, stride: 2), outputPadding: 1, groups: 2, bias: false),
    .batchNorm(epsilon: 1e-3, momentum: 0.1, scale: false), .layerNorm(epsilon: 1e-6),
    .linear(outputs: 10, bias: true), .activation(.swish),
    .maxPool(Window(kernel: 3, stride: 2, padding: .same)),
    .averagePool(Window(kernel: 2, stride: 2), countsPadding: true),
    .globalAveragePool(keepsDimensions: true), .globalMaxPool(keepsDimensions: false),
    .adaptiveAveragePool(height: 7, width: 5), .add, .multiply, .concatenate,
    .slice(start: 1, count: 2), .flatten(channelsLast: true),
    .reshape(channels: 2, height: 3, width: 4, channelsLast: false),
    .pad(Padding(top: 1, left: -1, bottom: 0, right: 2), value: 0.5),
    .upsample(height: 2, width: 3, bilinear: true), .channelShuffle(groups: 2),
    .affine(scale: [2], shift: [0.5]), .channelScale, .dropout(rate: 0.5), .dropPath(rate: 0.1),
    .softmax, .unitNorm,
]

private func types(_ shapes: Shape...) -> [ValueType] { shapes.map { ValueType($0) } }

@Suite struct OpTests {
    @Test(arguments: all) func survivesAFile(op: Op) throws {
        let data = try JSONEncoder().encode(op)
        #expect(try JSONDecoder().decode(Op.self, from: data) == op)
        // One key, the name of the operation.
        let object = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        #expect(Array(object.keys) == [type(of: op.rule).name])
    }

    @Test func namesAndKindsAreUnique() {
        #expect(Set(all.map { type(of: $0.rule).name }).count == all.count)
        #expect(Set(all.map(\.kind)).count == all.count)
    }

    /// What version 0.1 wrote, to the letter.
    @Test(arguments: [
        (
            #"{"maxPool":{"_0":{"dilation":{"height":1,"width":1},"kernel":{"height":3,"width":3},"#
                + #""padding":{"same":{}},"roundsUp":false,"stride":{"height":2,"width":2}}}}"#,
            Op.maxPool(Window(kernel: 3, stride: 2, padding: .same))
        ),
        (#"{"activation":{"_0":"relu6"}}"#, .activation(.relu6)), (#"{"add":{}}"#, .add),
        (
            #"{"pad":{"_0":{"bottom":0,"left":1,"right":2,"top":3},"value":0}}"#,
            .pad(Padding(top: 3, left: 1, bottom: 0, right: 2), value: 0)
        ),
        (#"{"dropout":{"rate":0.5}}"#, .dropout(rate: 0.5)),
    ]) func readsAndWritesVersionOne(text: String, op: Op) throws {
        #expect(try JSONDecoder().decode(Op.self, from: Data(text.utf8)) == op)
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        #expect(String(decoding: try encoder.encode(op), as: UTF8.self) == text)
    }

    @Test(arguments: [#"{}"#, #"{"add":{},"softmax":{}}"#, #"{"attention":{}}"#, #"[]"#, "3"])
    func refusesWhatIsNotOneOperation(text: String) {
        #expect(throws: DecodingError.self) {
            try JSONDecoder().decode(Op.self, from: Data(text.utf8))
        }
    }

    @Test func yieldsShapes() throws {
        let map = types([2, 4, 9, 8])
        func shape(_ op: Op, _ inputs: [ValueType]) throws -> Shape {
            try op.rule.outputs(reading: inputs)[0].shape
        }
        #expect(try shape(all[1], map) == [2, 4, 7, 6])
        // (9 - 1) * 2 + 1 + 1 + 1, (8 - 1) * 2 + 1 + 1 + 1
        #expect(try shape(all[2], map) == [2, 4, 19, 17])
        #expect(try shape(all[7], map) == [2, 4, 5, 4])
        #expect(try shape(.slice(start: 1, count: 2), map) == [2, 2, 9, 8])
        #expect(try shape(.flatten(channelsLast: true), map) == [2, 288])
        #expect(try shape(all[18], map) == [2, 4, 10, 9])
        #expect(try shape(.add, types([2, 4, 9, 8], [2, 4, 1, 1])) == [2, 4, 9, 8])
        #expect(try shape(.concatenate, types([2, 4, 9, 8], [2, 5, 9, 8])) == [2, 9, 9, 8])
    }

    @Test func namesTheCauseOfARefusal() {
        func refuses(_ op: Op, reading inputs: [ValueType], as flaw: OpFlaw) {
            #expect(throws: flaw) { try op.rule.outputs(reading: inputs) }
        }
        let map = types([1, 6, 4, 4])
        refuses(.softmax, reading: [], as: .inputCount(expected: 1, found: 0))
        refuses(.add, reading: map, as: .tooFewInputs(minimum: 2, found: 1))
        refuses(.flatten(channelsLast: false), reading: types([1, 6]), as: .notMap([1, 6]))
        refuses(.linear(outputs: 3, bias: true), reading: map, as: .notVectors([1, 6, 4, 4]))
        refuses(.layerNorm(epsilon: 1e-6), reading: types([3]), as: .noChannels([3]))
        refuses(
            .channelShuffle(groups: 4), reading: map, as: .unfitGroups(4, inputs: 6, outputs: 6))
        refuses(.linear(outputs: 0, bias: true), reading: types([1, 6]), as: .outputCount(0))
        refuses(
            .maxPool(Window(kernel: 5)), reading: map,
            as: .windowTooLarge(kernel: 5, map: Extent(4, 4)))
        refuses(
            .maxPool(Window(kernel: 0)), reading: map,
            as: .unfitWindow(kernel: 0, stride: 1, dilation: 1))
        refuses(
            .pad(Padding(top: .min, left: 0, bottom: 0, right: 0), value: 0), reading: map,
            as: .unfitPadding(.min))
        refuses(
            .slice(start: 5, count: 2), reading: map,
            as: .unfitChannels(start: 5, count: 2, [1, 6, 4, 4]))
        refuses(
            .reshape(channels: 2, height: 2, width: 2, channelsLast: false),
            reading: types([1, 6]),
            as: .unfitReshape([1, 6], to: [1, 2, 2, 2]))
        refuses(
            .upsample(height: 2, width: 1 << 20, bilinear: false), reading: map,
            as: .unfitEnlargement(Extent(2, 1 << 20)))
        refuses(
            .affine(scale: [1, 2], shift: [0]), reading: map,
            as: .unfitConstants(count: 2, [1, 6, 4, 4]))
        refuses(
            .multiply, reading: types([1, 6, 4, 4], [1, 6]),
            as: .unfitBroadcast([1, 6], with: [1, 6, 4, 4]))
        refuses(
            .concatenate, reading: types([1, 6, 4, 4], [1, 6, 4, 5]),
            as: .unfitConcatenation([1, 6, 4, 5], to: [1, 6, 4, 4]))
    }
}
