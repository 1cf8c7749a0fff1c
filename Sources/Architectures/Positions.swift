// Position tables at other sizes of image, by their publishers' rules.

public import GraftNetworks
public import GraftTensors

/// The table of positions of a vision transformer, which has a row for each patch of one size of image.
struct Positions: Sendable {
    /// The name of the weight (1, leading + patches, C).
    var name: String
    /// The rows of class tokens and registers, which keep their numbers.
    var leading: Int
    /// The pixels of a side of a patch.
    var patch: Int
    var rule: Rule

    /// A publisher's way to a table for another grid of patches: bicubic, the patches side by side.
    enum Rule: Sendable {
        /// timm's `resample_abs_pos_embed`: a = −0.5, as wide as needed where the grid shrinks, weights that
        /// add up to 1.
        case antialiased
        /// transformers' `interpolate_pos_encoding` and PyTorch's `bicubic`: a = −0.75, four neighbours.
        case plain
        /// torchvision's `interpolate_embeddings`: as `plain`, with the corners of both grids on each other.
        case cornersAligned
    }

    /// A table for images of this size, from a table for square ones.
    ///
    /// - Throws: ``NetworkError`` if the table is not one of a square grid or the image is not whole patches.
    func resized(_ table: LazyTensor, to image: Extent) throws -> LazyTensor {
        guard table.shape.rank == 3, table.shape[0] == 1, let own = self.image(of: table) else {
            throw NetworkError.positionTable(name, table.shape)
        }
        let side = own.height / patch
        let grid = Extent(image.height / patch, image.width / patch)
        guard grid.height * patch == image.height, grid.width * patch == image.width,
            grid.height > 0, grid.width > 0
        else {
            throw NetworkError.unevenPatches(size: image, patch: patch)
        }
        if grid.height == side, grid.width == side { return table }
        let (leading, rule) = (leading, rule)
        let width = table.shape[2]
        let shape: Shape = [1, leading + grid.height * grid.width, width]
        return LazyTensor(.f32, shape) {
            let floats = try table.converted(to: .f32).load().floats
            let down = rule.taps(from: side, to: grid.height)
            let across = rule.taps(from: side, to: grid.width)
            var result = Array(floats[..<(leading * width)])
            result.reserveCapacity(shape.count)
            // Rows first, then columns; in double precision, as many sums as there are numbers.
            let source = floats[(leading * width)...]
            var tall = [Double](repeating: 0, count: grid.height * side * width)
            for (y, taps) in down.enumerated() {
                for (row, weight) in taps {
                    for i in 0..<(side * width) {
                        tall[y * side * width + i] +=
                            weight * Double(source[source.startIndex + row * side * width + i])
                    }
                }
            }
            for y in 0..<grid.height {
                for taps in across {
                    for c in 0..<width {
                        let sum = taps.reduce(0) { sum, tap in
                            sum + tap.weight * tall[(y * side + tap.index) * width + c]
                        }
                        result.append(Float(sum))
                    }
                }
            }
            return Tensor(result, shape: shape)
        }
    }
}

extension Positions.Rule {
    /// The rows of a table of `count` that each row of a table of `target` is made of.
    fileprivate func taps(from count: Int, to target: Int) -> [[(index: Int, weight: Double)]] {
        let isAntialiased = self == .antialiased
        let kernel = ResizeKernel(
            mode: .cubic, cubic: isAntialiased ? -0.5 : -0.75, excludesOutside: isAntialiased,
            antialiases: isAntialiased)
        let coordinates: Op.Resize.Coordinates =
            self == .cornersAligned ? .alignCorners : .halfPixel
        let factor = Double(target) / Double(count)
        return (0..<target).map {
            kernel.samples(
                around: coordinates.coordinate(of: $0, in: count, by: factor), of: count, by: factor
            )
        }
    }
}

extension Positions {
    /// The size of image that a table is for, if that is square.
    func image(of table: LazyTensor) -> Extent? {
        let rows = table.shape.rank == 3 ? table.shape[1] - leading : 0
        let side = Int(Double(max(rows, 0)).squareRoot().rounded())
        guard side > 0, side * side == rows, side <= 1 << 16 else { return nil }
        return Extent(side * patch)
    }
}

extension Architecture {
    /// The network for the size of image that `state` was trained with, where a table of positions says it.
    func sized(as state: StateDict) -> Architecture {
        guard let positions, let table = state[positions.name],
            let image = positions.image(of: table), image != defaultInput
        else { return self }
        return Architecture(
            name, input: image, blueprint, published: published, dialect: dialect, variant: variant)
    }

    /// Whether its graph is made for one size of image.
    fileprivate var isOfOneSize: Bool {
        positions != nil || !blueprint.constants(at: defaultInput).isEmpty
    }

    /// The weights with a position table and with the constants for images of this size.
    func placed(_ state: StateDict, at input: Extent?) throws -> StateDict {
        var result = state
        for (name, tensor) in blueprint.constants(at: input ?? defaultInput) {
            result[name] = tensor
        }
        guard let positions, let table = state[positions.name] else { return result }
        result[positions.name] = try positions.resized(table, to: input ?? defaultInput)
        return result
    }
}

extension Architectures {
    /// A built-in network and its weights for another size of image; nil if it takes any size, or
    /// differs from the network of its name.
    ///
    /// - Throws: ``NetworkError`` if the size is not one that the network takes.
    public static func resized(
        _ graph: Graph, weights: StateDict, to input: Extent
    ) throws -> (graph: Graph, weights: StateDict)? {
        guard let architecture = try? named(graph.name), architecture.isOfOneSize else {
            return nil
        }
        let other = try architecture.graph(
            top: graph.logits != nil, classes: graph.classes ?? 1000, input: input)
        guard other.learnedNames == graph.learnedNames else { return nil }
        let own = architecture.renamed(weights)
        return (other, try other.bound(try architecture.placed(own, at: input)))
    }
}

extension Graph {
    /// The names of its weights but for constants, which may be others at another size.
    fileprivate var learnedNames: [String] {
        parameters.filter { $0.role != .constant }.map(\.name)
    }
}
