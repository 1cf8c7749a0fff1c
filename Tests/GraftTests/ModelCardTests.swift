// Which README.md is a card that graft may write over.

import Testing

@testable import Graft

@Suite struct ModelCardTests {
    @Test func cardsOfGraftAreKnownAgain() {
        let card = ModelCard.mark + "\n# tiny\n"
        #expect(ModelCard.isOurs(card))
        #expect(ModelCard.isOurs("---\nlibrary_name: graft\n---\n" + card))
        for text in [
            "", "# mine\n", "---\nlicense: mit\n---\n# mine\n", "---\n" + card, "# mine\n" + card,
            "---\nlicense: mit\n---\n# mine\n---\n" + card,
        ] {
            #expect(!ModelCard.isOurs(text), "\(text)")
        }
    }

    @Test func foldersThatAreNoRunsGetNone() throws {
        #expect(try ModelCard.write(ofRun: "/nowhere") == nil)
        #expect(try ModelCard.write(ofRun: "/tmp/") == nil)
    }
}
