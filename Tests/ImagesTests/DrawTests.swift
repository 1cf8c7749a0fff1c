// Drawings: what is asked for is where it should be.

import GraftImages
import Testing

@Suite struct DrawTests {
    @Test func rectanglesAreCutAtTheEdge() {
        var image = Image(width: 4, height: 4)
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
}
