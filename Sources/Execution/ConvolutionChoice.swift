// Which code computes a 3×3 convolution: the rule, and a measurement that may overrule it.

import CDNNL
import CKernels
import GraftNetworks
import GraftTensors

/// Measurements on this machine, kept between runs.
///
/// Execution knows no folders: who plans says where such things are kept.
public protocol PlanMemory: Sendable {
    /// Whether plans measure what it does not know; if not, a rule chooses.
    var measures: Bool { get }
    /// The choice that is remembered under a key.
    func choice(for key: String) -> String?
    /// Remembers a choice.
    func remember(_ choice: String, for key: String)
    /// A folder for plan files, if they shall be kept.
    var folder: String? { get }
}

extension PlanMemory {
    /// None.
    public var folder: String? { nil }
}

/// The code of a convolution: oneDNN's direct one, or Winograd's transforms.
struct ConvolutionChoice: Equatable {
    struct Transform: Equatable {
        /// The side of a tile: 2 or 4.
        var side: Int
        /// The tiles that go through the cache at a time.
        var tiles: Int
    }
    /// None: direct.
    var transform: Transform?

    static let direct = ConvolutionChoice(transform: nil)

    static func tiles(side: Int, count tiles: Int) -> ConvolutionChoice {
        ConvolutionChoice(transform: Transform(side: side, tiles: tiles))
    }

    /// `direct`, or the side and the tiles: `F4x24`.
    var text: String { transform.map { "F\($0.side)x\($0.tiles)" } ?? "direct" }

    init(transform: Transform?) { self.transform = transform }

    init?(text: String) {
        if text == "direct" {
            transform = nil
            return
        }
        let parts = text.dropFirst().split(separator: "x").map { Int($0) }
        guard text.first == "F", parts.count == 2, let side = parts[0], let tiles = parts[1],
            [2, 4].contains(side), (1...1024).contains(tiles)
        else { return nil }
        transform = Transform(side: side, tiles: tiles)
    }

    /// The choices that a measurement compares with the rule.
    static let candidates: [ConvolutionChoice] =
        [direct, tiles(side: 2, count: 24)] + [12, 24, 48, 96].map { tiles(side: 4, count: $0) }

    /// The choice where nothing was measured: F(4×4) but on maps so small that its tiles cover
    /// much more than the map or that there are too few to be worth reading four times the weights,
    /// with more tiles at a time the larger the weights are. The size of the batch has no say, so that a
    /// image's numbers do not depend on its company.
    static func rule(from input: Shape, to output: Shape) -> ConvolutionChoice {
        let channels = input[1] + output[1]
        let tiles = ((output[2] + 3) / 4) * ((output[3] + 3) / 4)
        let waste = Double(tiles * 16) / Double(output[2] * output[3])
        guard waste < 1.7, tiles >= 16 else { return direct }
        switch channels {
        case ...256: return .tiles(side: 4, count: 24)
        case ...512: return .tiles(side: 4, count: 48)
        default: return .tiles(side: 4, count: 96)
        }
    }
}

extension Compiler {
    /// The code for a 3×3 convolution that the kernel can do.
    func choice(
        _ product: Product, source: Memory, activation: Activation?, direct: () throws -> Primitive
    ) throws -> ConvolutionChoice {
        let (input, output) = (product.input, product.output)
        guard input.rank == 4, output.rank == 4 else { return .direct }
        let byRule = ConvolutionChoice.rule(from: input, to: output)
        let probe = byRule.transform ?? ConvolutionChoice.Transform(side: 4, tiles: 24)
        guard options.accuracy == .default, !options.usesBF16,
            let (work, block, layout) = try winograd(
                product, source: source, activation: activation, transform: probe)
        else { return .direct }
        guard let memory = options.memory else { return byRule }
        let key =
            "3x3, second kernel, \(input) \(output) pad \(work.top),\(work.left) block \(block) "
            + "pixel \(work.x.pixel) threads \(threads)"
        if let known = memory.choice(for: key).flatMap({ ConvolutionChoice(text: $0) }) {
            return known
        }
        guard memory.measures else { return byRule }
        let found = try measured(
            product, source: source, rule: byRule, layout: layout, direct: try direct())
        memory.remember(found.text, for: key)
        return found
    }

    /// Times the candidates one after another, several times over, on whatever numbers are there;
    /// only one that is clearly faster than the rule's replaces it.
    private func measured(
        _ product: Product, source: Memory, rule byRule: ConvolutionChoice, layout: MapLayout,
        direct: Primitive
    ) throws -> ConvolutionChoice {
        func room(_ descriptor: Descriptor) throws -> Memory {
            try Memory(descriptor, in: Buffer(byteCount: descriptor.byteCount), of: engine)
        }
        var runs: [(choice: ConvolutionChoice, run: () throws -> Void)] = []
        let y = try Memory(
            layout, in: Buffer(byteCount: try layout.descriptor().byteCount), of: engine)
        // Values have no place yet.
        let x = try Memory(
            source.descriptor, in: Buffer(byteCount: source.buffer.byteCount), of: engine)
        x.layout = source.layout
        let candidates = [byRule] + ConvolutionChoice.candidates.filter { $0 != byRule }
        for candidate in candidates {
            guard let transform = candidate.transform else {
                let x = try room(try direct.descriptor(dnnl_query_src_md))
                let target = try room(try direct.descriptor(dnnl_query_dst_md))
                var list = [
                    (DNNL_ARG_SRC, x), (DNNL_ARG_DST, target),
                    (DNNL_ARG_WEIGHTS, try room(try direct.descriptor(dnnl_query_weights_md))),
                ]
                // It may be planned with a bias; one too many does no harm.
                list.append((DNNL_ARG_BIAS, try room(try .plain([product.output[1]]))))
                let arguments = direct.bind(list)
                let engine = engine
                runs.append((candidate, { try direct.run(on: engine, with: arguments) }))
                continue
            }
            guard
                let (found, block, _) = try winograd(
                    product, source: source, activation: nil, transform: transform)
            else { continue }
            var work = found
            let u = Buffer(byteCount: graft_winograd_weights_count(&work) * 4)
            scratch.reserve(graft_winograd_scratch_count(&work, block) * threads)
            let scratch = scratch
            runs.append(
                (
                    candidate,
                    {
                        var work = found
                        guard let memory = scratch.floats else { return }
                        graft_winograd_run(
                            &work, block, x.floats, u.floats(0).baseAddress, nil, y.floats,
                            memory)
                    }
                ))
        }
        let clock = ContinuousClock()
        var best = [Duration](repeating: .seconds(3600), count: runs.count)
        for round in 0..<6 {
            for (index, candidate) in runs.enumerated() {
                let start = clock.now
                try candidate.run()
                try wait()
                // The first round warms the caches.
                if round > 0 { best[index] = min(best[index], clock.now - start) }
            }
        }
        guard let rule = runs.firstIndex(where: { $0.choice == byRule }),
            let fastest = best.indices.min(by: { best[$0] < best[$1] }),
            best[fastest] * 100 < best[rule] * 93
        else { return byRule }
        return runs[fastest].choice
    }
}
