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
    .softmax, .unitNorm, .parameter([1, 4], learns: true), .matMul(transposesRight: true),
    .transpose([0, 2, 1]), .view([0, -1, 3]), .expand([2, -1]), .elementwise(.erf),
    .binary(.divide), .reduce(.mean, axes: [1], keepsAxes: true),
    .groupNorm(groups: 2, epsilon: 1e-5),
    .localResponseNorm(size: 5, alpha: 1e-4, beta: 0.75, bias: 1),
    .padAxes(before: [0, 1], after: [2, 0], mode: .reflect),
    .resize(to: .sizes(height: 4, width: 5), mode: .cubic),
    .attention(heads: 3, scale: 0.5, isCausal: true),
    .gatherElements(axis: 1),
    .gatherND(batch: 1), .scatterElements(axis: 0, reduction: .add), .scatterND(),
    .cumulate(.product, axis: 2, isReversed: true),
    .gridSample(.linear, border: .reflection, alignsCorners: false),
    .roiAlign(
        Op.RoIAlign(
            height: 7, width: 7, samplingRatio: 2, scale: 0.25, takesMaximum: false,
            hasHalfPixels: true)),
    .poolAxes(
        Op.PoolAxes(
            function: .sum, kernel: [2], strides: [1], dilations: [1], before: [0], after: [1],
            sizes: [4])),
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
        refuses(.linear(outputs: 3, bias: true), reading: types([6]), as: .noChannels([6]))
        refuses(.layerNorm(epsilon: 1e-6), reading: types([3]), as: .unfitAxes([1], [3]))
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

    /// As NumPy's `matmul`, `transpose`, `reshape` and broadcasting have them.
    @Test(
        arguments: [
            (Op.matMul(), [[2, 1, 3, 4], [5, 4, 6]], [2, 5, 3, 6]),
            (.matMul(), [[4], [4, 6]], [6]), (.matMul(), [[7, 3, 4], [4]], [7, 3]),
            (.matMul(), [[4], [4]], []),
            (
                .matMul(transposesLeft: true, transposesRight: true), [[2, 4, 3], [6, 4]],
                [2, 3, 6]
            ),
            (.transpose([2, 0, 1]), [[5, 6, 7]], [7, 5, 6]),
            (.view([0, -1, 2]), [[3, 4, 5]], [3, 10, 2]),
            (.view([-1]), [[3, 4, 5]], [60]), (.expand([2, 3, -1]), [[1, 4]], [2, 3, 4]),
            (.add, [[2, 1, 4], [3, 1]], [2, 3, 4]), (.binary(.power), [[], [2, 3]], [2, 3]),
            (.attention(heads: 2), [[3, 5, 24]], [3, 5, 8]),
            (.attention(heads: 2), [[3, 5, 24], [2, 5, 5]], [3, 5, 8]),
            (
                .attention(heads: 2), [[6, 5, 8], [6, 7, 8], [6, 7, 4], [3, 1, 5, 7]], [6, 5, 4]
            ),
            (.reduce(.maximum, axes: [0, 2], keepsAxes: false), [[2, 3, 4]], [3]),
            (.reduce(.sum, axes: [1], keepsAxes: true), [[2, 3, 4]], [2, 1, 4]),
            (.softmax(axis: 2), [[2, 3, 4]], [2, 3, 4]),
            (.layerNorm(epsilon: 1, axes: [1, 2]), [[2, 3, 4]], [2, 3, 4]),
            (.slice(start: 3, count: 2, axis: 2, step: -2), [[2, 3, 4]], [2, 3, 2]),
            (.concatenate(axis: 0), [[2, 3], [4, 3]], [6, 3]),
            (.linear(outputs: 9, bias: false), [[2, 3, 4]], [2, 3, 9]),
            (.padAxes(before: [1, -1], after: [0, 3]), [[2, 3]], [3, 5]),
            (
                .resize(to: .factors(height: 1.5, width: 0.5), mode: .linear), [[1, 2, 5, 5]],
                [1, 2, 7, 2]
            ),
            (.parameter([3, 4], learns: true), [], [3, 4]),
        ] as [(Op, [[Int]], [Int])])
    func yieldsShapesOfAnyRank(op: Op, inputs: [[Int]], expected: [Int]) throws {
        let types = inputs.map { ValueType(Shape($0)) }
        #expect(try op.rule.outputs(reading: types) == [ValueType(Shape(expected))])
    }

    @Test(
        arguments: [
            (Op.matMul(), [[2, 3], [4, 5]], OpFlaw.unfitProduct([2, 3], with: [4, 5])),
            (.matMul(), [[], [2]], .unfitProduct([], with: [2])),
            (.attention(heads: 2), [[3, 24]], .notTokens([3, 24])),
            (.attention(heads: 0), [[3, 5, 24]], .outputCount(0)),
            (.attention(heads: 5), [[3, 5, 24]], .unfitGroups(5, inputs: 24, outputs: 8)),
            (
                .attention(heads: .max), [[3, 5, 24]],
                .unfitGroups(.max, inputs: 24, outputs: 8)
            ),
            (
                .attention(heads: 2), [[3, 5, 8], [3, 5, 6], [3, 5, 8]],
                .unfitProduct([3, 5, 8], with: [3, 5, 6])
            ),
            (
                .attention(heads: 2), [[3, 5, 8], [3, 5, 8], [3, 4, 8]],
                .unfitProduct([3, 5, 8], with: [3, 4, 8])
            ),
            (
                .attention(heads: 2), [[3, 5, 24], [2, 2, 5, 5]],
                .unfitBroadcast([2, 2, 5, 5], with: [3, 2, 5, 5])
            ),
            (.transpose([0, 0]), [[2, 3]], .unfitOrder([0, 0], [2, 3])),
            (.transpose([1]), [[2, 3]], .unfitOrder([1], [2, 3])),
            (.view([-1, -1]), [[4]], .unfitSizes([-1, -1], [4])),
            (.view([0, 0, 0]), [[2, 3]], .unfitSizes([0, 0, 0], [2, 3])),
            (.view([5]), [[2, 3]], .unfitSizes([5], [2, 3])),
            (.view([.max, .max]), [[2, 3]], .unfitSizes([.max, .max], [2, 3])),
            (.view([.min]), [[2]], .unfitSizes([.min], [2])),
            (.expand([3]), [[2]], .unfitSizes([3], [2])),
            (.expand([-1, 2]), [[2]], .unfitSizes([-1, 2], [2])),
            (.binary(.divide), [[2]], .inputCount(expected: 2, found: 1)),
            (.binary(.divide), [[2], [3]], .unfitBroadcast([3], with: [2])),
            (.reduce(.sum, axes: [2], keepsAxes: true), [[2, 3]], .unfitAxes([2], [2, 3])),
            (
                .reduce(.sum, axes: [1, 1], keepsAxes: true), [[2, 3]], .unfitAxes([1, 1], [2, 3])
            ),
            (.softmax(axis: -1), [[2, 3]], .unfitAxes([-1], [2, 3])),
            (.layerNorm(epsilon: 1, axes: []), [[2, 3]], .unfitAxes([], [2, 3])),
            (.layerNorm(epsilon: 1, axes: [1, 0]), [[2, 3]], .unfitAxes([1, 0], [2, 3])),
            (
                .slice(start: 0, count: .max, axis: 0, step: .max), [[2, 3]],
                .unfitSlice(start: 0, count: .max, step: .max, axis: 0, [2, 3])
            ),
            (
                .slice(start: 1, count: 1, axis: 0, step: 0), [[2, 3]],
                .unfitSlice(start: 1, count: 1, step: 0, axis: 0, [2, 3])
            ),
            (.concatenate(axis: 2), [[2, 3]], .unfitAxes([2], [2, 3])),
            (.groupNorm(groups: 4, epsilon: 1), [[1, 6]], .unfitGroups(4, inputs: 6, outputs: 6)),
            (
                .localResponseNorm(size: 0, alpha: 1, beta: 1, bias: 1), [[1, 6]],
                .unfitNeighbours(0)
            ),
            (.padAxes(before: [2], after: [0], mode: .reflect), [[2]], .unfitAmounts([2, 0], [2])),
            (.padAxes(before: [.min], after: [0]), [[2]], .unfitPadding(.min)),
            (.padAxes(before: [-1], after: [-1]), [[2]], .unfitAmounts([-1, -1], [2])),
            (
                .resize(to: .factors(height: .nan, width: 1), mode: .linear), [[1, 2, 5, 5]],
                nil
            ),
            (
                .resize(to: .sizes(height: 0, width: 1), mode: .linear), [[1, 2, 5, 5]],
                .unfitSizes([0, 1], [1, 2, 5, 5])
            ),
            (.parameter([2], learns: false), [[2]], .inputCount(expected: 0, found: 1)),
        ] as [(Op, [[Int]], OpFlaw?)])
    func refusesWhatDoesNotFit(op: Op, inputs: [[Int]], flaw: OpFlaw?) {
        let types = inputs.map { ValueType(Shape($0)) }
        let found = #expect(throws: OpFlaw.self) { try op.rule.outputs(reading: types) }
        // A flaw with NaN in it equals none.
        if let flaw { #expect(found == flaw) }
    }
}
