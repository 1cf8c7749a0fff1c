// Drawings of networks.

import GraftArchitectures
import GraftNetworks
import GraftTensors
import Testing

@Suite struct DrawingTests {
    @Test(arguments: ["inceptionv3", "torchvision/resnet18"])
    func `A drawing has a box for every layer and a line for every input`(name: String) throws {
        let graph = try Architectures.named(name).graph()
        let svg = try Drawing(graph, input: [1, 3, 299, 299]).svg
        func count(_ text: String) -> Int { svg.split(separator: text).count - 1 }
        #expect(count("<rect width") == graph.nodes.count)
        #expect(count("<path ") == graph.nodes.reduce(0) { $0 + $1.inputs.count })
        #expect(svg.hasPrefix("<svg ") && svg.hasSuffix("</svg>"))
    }
}
