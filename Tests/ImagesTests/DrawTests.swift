// Drawings: what is asked for is where it should be.

import GraftImages
import Testing

@Suite struct DrawTests {
    @Test func rectanglesAreCutAtTheEdge() throws {
        var image = try Image(width: 4, height: 4)
        image.fill(x: -2, y: 2, width: 4, height: 9, .black)
        image.fill(x: 9, y: 9, width: 2, height: 2, .black)
        #expect(image.pixels.count(where: { $0 == 0 }) == 2 * 2 * 3)
        #expect(image[1, 3] == .black && image[2, 3] == .white)
    }

    @Test func aConfusionMatrixIsDarkWhereItIsRight() throws {
        let image = Image.confusionMatrix([[9, 1], [0, 10]], classes: ["cat", "dog"])
        func light(_ x: Int, _ y: Int) -> Int {
            Int(image[image.width - 12 - 96 + x, image.height - 12 - 96 + y].red)
        }
        #expect(light(2, 2) < 64 && light(50, 50) < 64)
        #expect(light(50, 2) > 192 && light(2, 50) > 192)
        #expect(Image.confusionMatrix([], classes: []).width > 0)
        let many = [[Int]](repeating: [Int](repeating: 1, count: 300), count: 300)
        #expect(Image.confusionMatrix(many, classes: many.indices.map { "c\($0)" }).width > 2400)
    }

    @Test func boxesHaveAWordOnThem() throws {
        var image = try Image(width: 100, height: 80)
        let ink = Image.ink(1)
        image.outline(Box(left: 20, top: 30, right: 90, bottom: 70), saying: "CAT 0.9", ink)
        // The line, what is in the box, and the ground of the text above it.
        for (x, y) in [(20, 50), (21, 50), (89, 50), (50, 30), (50, 69), (20, 23)] {
            #expect(image[x, y] == ink, "\(x), \(y)")
        }
        #expect(image[50, 50] == .white && image[19, 50] == .white && image[90, 22] == .white)
        #expect((20..<49).contains { x in (24..<29).contains { image[x, $0] == .white } })
        // Without room above: inside; too far to the right: moved to the left; never outside.
        var edge = try Image(width: 40, height: 20)
        edge.outline(Box(left: 30, top: -5, right: 90, bottom: 70), saying: "DOG", Image.ink(5))
        #expect(edge[39, 6] == Image.ink(5) && edge[26, 3] != edge[27, 0])
        edge.outline(
            Box(left: .infinity, top: -.infinity, right: 3, bottom: .infinity), saying: "?",
            Image.ink(2))
        edge.outline(
            Box(left: .nan, top: 0, right: 3, bottom: .nan), saying: "?", Image.ink(2))
        #expect(Image.ink(0) != Image.ink(1) && Image.ink(600) == Image.ink(0))
    }
}
