// A detector's head on a network's maps: SSD's boxes, by depthwise convolutions (SSDLite).

public import GraftTensors

extension Graph {
    /// What the last convolution of every level is called, but for the level's number.
    public static let detectorPrefix = "detector_boxes"
    /// The boxes that every place of a level is asked about.
    public static let boxesPerPlace = 6

    /// The network with a head that finds boxes of `classes` kinds (arXiv:1512.02325, with the
    /// separable convolutions of arXiv:1801.04381), called `detector_…` and of the stage `head`.
    ///
    /// It reads the last maps of the two coarsest resolutions, and makes a coarser one of its own.
    /// Its output is (N, boxes × (4 + 1 + classes)): of level after level, row after row, place after
    /// place and box after box the four numbers of its edges and the scores of nothing and each class.
    /// `input` is the shape of a batch.
    public func withDetector(classes: Int, input: Shape) throws(NetworkError) -> Graph {
        let shapes = try shapes(input: input)
        var graph = self
        graph.nodes = Array(nodes[...features])
        graph.logits = nil
        var levels: [Int] = []
        for index in graph.nodes.indices.reversed() where shapes[index].rank == 4 {
            let size = shapes[index].dimensions.suffix(2)
            guard size.allSatisfy({ $0 > 1 }), levels.count < 2,
                levels.last.map({ shapes[$0].dimensions.suffix(2) != size }) ?? true,
                graph.nodes[(index + 1)...].allSatisfy({ $0.inputs.allSatisfy { $0 >= index } })
            else { continue }
            levels.append(index)
        }
        guard !levels.isEmpty else {
            throw .invalidNode(
                nodes[features].name, reason: "no map before it that a detector could read")
        }
        func append(_ name: String, _ op: Op, _ x: Int, _ parameters: [Parameter] = []) -> Int {
            graph.nodes.append(
                Node(name: name, op: op, inputs: [x], parameters: parameters, stage: "head"))
            return graph.nodes.count - 1
        }
        func convolve(
            _ name: String, _ x: Int, _ inputs: Int, _ outputs: Int, _ window: Window,
            groups: Int = 1
        ) -> Int {
            let kernel: Shape = [
                outputs, inputs / groups, window.kernel.height, window.kernel.width,
            ]
            return append(
                name, .conv2d(outputs: outputs, window: window, groups: groups, bias: true), x,
                [
                    Parameter(
                        name: naming.parameter(groups > 1 ? .depthwiseKernel : .kernel, of: name),
                        shape: kernel, role: groups > 1 ? .depthwiseKernel : .kernel),
                    Parameter(
                        name: naming.parameter(.bias, of: name), shape: [outputs], role: .bias),
                ])
        }
        let around = Window(kernel: 3, padding: .all(1))
        var maps = levels.reversed().map { (node: $0, channels: shapes[$0][1]) }
        let last = maps[maps.count - 1]
        if shapes[last.node][2] > 2, shapes[last.node][3] > 2 {
            let squeezed = convolve(
                "detector_squeeze", last.node, last.channels, 128, Window(kernel: 1))
            let active = append("detector_squeeze_relu", .activation(.relu), squeezed)
            let halved = convolve(
                "detector_halve", active, 128, 128, Window(kernel: 3, stride: 2, padding: .all(1)))
            maps.append((append("detector_halve_relu", .activation(.relu), halved), 128))
        }
        var flat: [Int] = []
        for (level, map) in maps.enumerated() {
            let seen = convolve(
                "detector_around\(level)", map.node, map.channels, map.channels, around,
                groups: map.channels)
            let active = append("detector_around\(level)_relu", .activation(.relu6), seen)
            let boxes = convolve(
                "\(Self.detectorPrefix)\(level)", active, map.channels,
                Self.boxesPerPlace * (5 + classes), Window(kernel: 1))
            flat.append(append("detector_flat\(level)", .flatten(channelsLast: true), boxes))
        }
        graph.nodes.append(
            Node(name: "detector", op: .concatenate, inputs: flat, stage: "head"))
        graph.output = graph.nodes.count - 1
        return graph
    }
}
