//! The room beside the video on the watch page: the rendering of the client's events.

use std::path::Path;

use anyhow::Result;
use fanfare_tests::{Isolation, Page, ROOM};
use serde_json::{Value, json};

use crate::{
    Fixture, text,
    watch_page::{PAINTED, SCREENSHOTS, until},
};

/// The time of all events here, in milliseconds.
const NOW: u64 = 1_790_000_000_000;

/// A watch page that plays. The test dispatches the events of its player's room.
struct RoomPage {
    page: Page,
    _fixture: Fixture,
}

impl RoomPage {
    async fn new(query: &str) -> Result<Self> {
        let fixture = Fixture::new(Isolation::Isolated).await?;
        let page = fixture.browser.open(&fixture.site.url(&format!("/{ROOM}{query}")), 1280, 800).await?;
        page.eval(&until("live")).await?;
        // The test card server has no room, so all room events are the test's own.
        page.eval("new Promise((known) => player.player.interaction === false ? known() : player.addEventListener('interaction', known, { once: true }))")
            .await?;
        Ok(Self { page, _fixture: fixture })
    }

    async fn dispatch(&self, event: &str, detail: Value) -> Result<()> {
        let dispatch = format!("player.dispatchEvent(new CustomEvent('{event}', {{ detail: {detail} }}))");
        self.page.eval(&dispatch).await.map(drop)
    }

    async fn all(&self) -> Result<()> {
        self.dispatch("interaction", json!({ "open": true })).await?;
        self.dispatch("identity", identity("moderator")).await?;
        self.dispatch("stage", stage()).await?;
        self.dispatch("pulse", pulse()).await?;
        self.dispatch("chat", json!({ "lines": [], "gifts": [], "deleted": [] })).await?;
        let says = [
            ("Ada", "fan", "Hello from the front row!", Value::Null),
            ("小明", "fan", "加油！", Value::Null),
            ("Grace", "creator", "Thank you all for coming. The next song is a new one.", Value::Null),
            ("Ada", "fan", "👏👏👏", json!({ "lane": 1, "colour": 3, "size": "normal" })),
            ("مريم", "fan", "مرحبا بالجميع", Value::Null),
            (
                "Björk-Þórunn of the very long name indeed",
                "moderator",
                "Please keep to the topic, averylongwordthathasnoplacetobreakatallandgoesonandon",
                Value::Null,
            ),
            ("Ada", "fan", "encore encore", json!({ "lane": 3, "colour": 2, "size": "normal" })),
        ];
        let lines: Vec<Value> = (1_u64..)
            .zip(says)
            .map(|(id, (name, role, text, danmaku))| {
                let reply = if id == 5 { json!(1) } else { Value::Null };
                json!({ "id": id, "at": NOW, "fan": format!("{:016x}", id % 5), "name": name, "role": role,
                        "text": text, "reply": reply, "mentions": [], "danmaku": danmaku })
            })
            .collect();
        let gifts =
            json!([{ "id": 8, "at": NOW, "fan": "0000000000000002", "name": "小明", "gift": 1, "count": 3 }]);
        self.dispatch("chat", json!({ "lines": lines, "gifts": gifts, "deleted": [] })).await?;
        let waits = json!([{ "id": 20, "at": NOW, "fan": "0000000000000003", "name": "Somebody", "text": "see example.com" }]);
        self.dispatch("waiting", waits).await?;
        self.dispatch("echo", json!({ "ticket": 1, "text": "on its way", "pending": true })).await
    }
}

fn identity(role: &str) -> Value {
    json!({ "fan": "00000000000000aa", "role": role, "standing": "clear", "until": null,
            "vote": { "poll": 1, "option": 1 } })
}

fn stage() -> Value {
    let pinned = json!({ "id": 3, "at": NOW, "fan": "0000000000000003", "name": "Grace", "role": "creator",
        "text": "Doors close at eleven.", "reply": null, "mentions": [], "danmaku": null });
    json!({
        "title": "Friday night", "pinned": pinned,
        "poll": { "poll": 1, "question": "Which one next?", "options": ["The slow one", "The loud one", "Neither"],
                  "closes": 4_000_000_000_000_u64, "changeable": true, "who": "address", "open": true },
        "modes": { "slowSeconds": 0, "followersOnly": false, "emojiOnly": false, "holdAll": false, "links": "hold" },
        "gifts": [{ "id": 1, "name": "rose", "icon": "🌹", "value": 10 }, { "id": 2, "name": "rocket", "icon": "🚀", "value": 500 }],
        "questions": [{ "question": 1, "fan": "0000000000000001", "name": "Ada", "text": "Who wrote the last one?" },
                      { "question": 2, "fan": "0000000000000002", "name": "小明", "text": "Will there be an encore?" }],
    })
}

fn pulse() -> Value {
    json!({
        "at": NOW, "viewers": 1234, "uniques": 5678, "says": 42, "cheers": [1_234_567, 89, 3], "gifts": [{ "gift": 1, "count": 17 }],
        "rates": { "says": 1, "cheers": 1, "gifts": 0, "votes": 0 }, "poll": { "poll": 1, "votes": [30, 60, 10], "strangers": [5, 20, 0], "open": true },
        "questions": [{ "question": 1, "votes": 2 }, { "question": 2, "votes": 9 }], "topCheerers": [], "topGifters": [],
        "totalSeconds": 0, "watchedSeconds": 0, "activityPermille": 0, "interactionsPer1000Minutes": 0,
        "latencyP50Ms": 0, "latencyP99Ms": 0,
    })
}

#[tokio::test]
async fn it_fits_at_every_size_and_in_both_themes() -> Result<()> {
    let room = RoomPage::new("").await?;
    let page = &room.page;
    assert_eq!(
        page.eval("document.querySelector('.side').hidden").await?,
        true,
        "where there is no room, there is none"
    );
    room.all().await?;
    let folder = std::env::var_os(SCREENSHOTS);
    for (name, width, height) in
        [("desktop", 1280, 800), ("phone", 390, 844), ("tablet", 820, 1180), ("landscape", 844, 390)]
    {
        page.resize(width, height).await?;
        let overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
        assert_eq!(page.eval(overflow).await?, 0, "{name} scrolls sideways");
        if name != "landscape" {
            let reachable = "(() => {
                const { bottom, top, height } = document.querySelector('.write .send').getBoundingClientRect();
                return top > 0 && height > 20 && bottom <= innerHeight;
            })()";
            assert_eq!(page.eval(reachable).await?, true, "{name}: one can write without scrolling");
        }
        for theme in ["dark", "light"] {
            page.prefer(theme).await?;
            if let Some(folder) = &folder {
                page.eval("new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(() => drawn(true))))").await?;
                page.screenshot(&Path::new(folder).join(format!("room-{name}-{theme}.png"))).await?;
            }
        }
    }
    page.resize(1280, 800).await?;
    page.eval("document.querySelector('#tab-questions').click()").await?;
    page.eval("document.querySelector('.log li .more').click()").await?;
    if let Some(folder) = &folder {
        page.eval(PAINTED).await?;
        page.screenshot(&Path::new(folder).join("room-questions.png")).await?;
    }
    assert!(page.log().is_empty(), "{:#?}", page.log());
    Ok(())
}

#[tokio::test]
async fn a_poll_shows_who_may_vote_and_moderators_the_votes_of_strangers() -> Result<()> {
    let room = RoomPage::new("").await?;
    room.all().await?;
    let page = &room.page;
    assert_eq!(
        text(&page.eval("document.querySelector('.poll .strangers').textContent").await?),
        "Without a token: 25 (25 %) — The slow one: 5 · The loud one: 20 · Neither: 0"
    );
    assert_eq!(page.eval("document.querySelector('.poll .strangers').hidden").await?, false);
    room.dispatch("identity", identity("fan")).await?;
    room.dispatch("pulse", pulse()).await?;
    assert_eq!(page.eval("document.querySelector('.poll .strangers').hidden").await?, true);
    // A poll of fans with a token: this page has none.
    let mut named = stage();
    named["poll"]["who"] = "named".into();
    named["poll"]["poll"] = 2.into();
    room.dispatch("stage", named.clone()).await?;
    let says = "document.querySelector('.poll .who').textContent";
    assert_eq!(
        text(&page.eval(says).await?),
        "Only fans with a token may vote. Open the link that the creator gave you."
    );
    assert_eq!(page.eval("document.querySelector('.option').disabled").await?, true);
    page.eval("document.querySelector('fanfare-player').setAttribute('token', 'x')").await?;
    named["poll"]["poll"] = 3.into();
    room.dispatch("stage", named).await?;
    assert_eq!(text(&page.eval(says).await?), "Fans with a token may vote");
    assert_eq!(page.eval("document.querySelector('.option').disabled").await?, false);
    Ok(())
}

#[tokio::test]
async fn it_shows_what_the_player_reports() -> Result<()> {
    let room = RoomPage::new("").await?;
    room.all().await?;
    let page = &room.page;
    let says =
        async |what: &str| Ok::<_, anyhow::Error>(text(&page.eval(&format!("{what}.textContent")).await?));
    assert_eq!(says("document.querySelector('.viewers')").await?, "1,234 watching");
    assert_eq!(says("document.querySelector('.cheers b')").await?, "1,234,567");
    assert_eq!(says("document.querySelector('.gifts b')").await?, "17");
    assert_eq!(says("document.querySelectorAll('.option b')[1]").await?, "60 · 60 %");
    assert_eq!(
        page.eval("document.querySelectorAll('.option')[1].getAttribute('aria-pressed')").await?,
        "true"
    );
    assert_eq!(
        says("document.querySelector('.poll .who')").await?,
        "Without a token: one vote per connection"
    );
    assert_eq!(
        says("document.querySelector('.questions li p')").await?,
        "Will there be an encore?",
        "most votes first"
    );
    assert_eq!(page.eval("document.querySelectorAll('.danmaku span').length").await?, 2);
    assert_eq!(page.eval("document.querySelectorAll('.log li').length").await?, 9);
    // A gift and a late line appear in their order; deleted lines disappear.
    let late = json!({ "id": 6, "at": NOW, "fan": "0000000000000001", "name": "Ada", "role": "fan", "text": "late",
        "reply": null, "mentions": ["00000000000000aa"], "danmaku": null });
    room.dispatch("chat", json!({ "lines": [], "gifts": [], "deleted": [6, 7] })).await?;
    room.dispatch("chat", json!({ "lines": [late], "gifts": [], "deleted": [] })).await?;
    let order = "Array.from(document.querySelectorAll('.log li'), (line) => line.dataset.id ?? 'own').join()";
    assert_eq!(text(&page.eval(order).await?), "1,2,3,4,5,6,8,own");
    assert_eq!(
        page.eval("document.querySelector('[data-id=\"6\"]').classList.contains('mentioned')").await?,
        true
    );
    // The echo becomes the chat line, once.
    room.dispatch(
        "echo",
        json!({ "ticket": 1, "text": "on its way", "pending": false, "id": 9, "held": false }),
    )
    .await?;
    let own = json!({ "id": 9, "at": NOW, "fan": "00000000000000aa", "name": "Me", "role": "moderator",
        "text": "on its way", "reply": null, "mentions": [], "danmaku": null });
    room.dispatch("chat", json!({ "lines": [own], "gifts": [], "deleted": [] })).await?;
    assert_eq!(text(&page.eval(order).await?), "1,2,3,4,5,6,8,9");
    // A moderator has a menu on each line, and the held lines.
    page.eval("document.querySelector('[data-id=\"1\"] .more').click()").await?;
    assert_eq!(page.eval("document.querySelectorAll('.menu button').length").await?, 7);
    assert_eq!(page.eval("document.querySelectorAll('.held button').length").await?, 2);
    room.dispatch("identity", identity("fan")).await?;
    page.eval("document.querySelector('[data-id=\"1\"] .more').click()").await?;
    assert_eq!(page.eval("document.querySelectorAll('.menu button').length").await?, 1, "a fan may reply");
    // A banned fan goes on watching.
    let mut banned = identity("fan");
    banned["standing"] = "banned".into();
    room.dispatch("identity", banned).await?;
    assert_eq!(page.eval("document.querySelector('.write input').disabled").await?, true);
    assert!(text(&page.eval("document.querySelector('.write input').placeholder").await?).contains("banned"));
    room.dispatch("interaction", json!({ "open": false })).await?;
    assert_eq!(page.eval("document.querySelector('.side').hidden").await?, true);
    assert!(page.log().is_empty(), "{:#?}", page.log());
    Ok(())
}

#[tokio::test]
async fn hostile_text_is_text_wherever_it_is_shown() -> Result<()> {
    const EVIL: &str =
        "<img src=x onerror=\"globalThis.caught=1\"><script>globalThis.caught=1</script>&lt;b&gt;{name}";
    let room = RoomPage::new("").await?;
    let page = &room.page;
    let line = json!({ "id": 1, "at": NOW, "fan": "0000000000000001", "name": EVIL, "role": "fan", "text": EVIL,
        "reply": 1, "mentions": [], "danmaku": { "lane": 0, "colour": 0, "size": "normal" } });
    let mut on = stage();
    on["title"] = EVIL.into();
    on["pinned"] = line.clone();
    on["poll"]["question"] = EVIL.into();
    on["poll"]["options"] = json!([EVIL, EVIL]);
    on["gifts"] = json!([{ "id": 1, "name": EVIL, "icon": EVIL, "value": 1 }]);
    on["questions"] = json!([{ "question": 1, "fan": "0000000000000001", "name": EVIL, "text": EVIL }]);
    room.dispatch("interaction", json!({ "open": true })).await?;
    room.dispatch("identity", identity("moderator")).await?;
    room.dispatch("stage", on).await?;
    room.dispatch("chat", json!({ "lines": [], "gifts": [], "deleted": [] })).await?;
    let gift =
        json!([{ "id": 2, "at": NOW, "fan": "0000000000000001", "name": EVIL, "gift": 1, "count": 1 }]);
    room.dispatch("chat", json!({ "lines": [line], "gifts": gift, "deleted": [] })).await?;
    room.dispatch(
        "waiting",
        json!([{ "id": 3, "at": NOW, "fan": "0000000000000001", "name": EVIL, "text": EVIL }]),
    )
    .await?;
    room.dispatch("echo", json!({ "ticket": 1, "text": EVIL, "pending": true })).await?;
    page.eval("document.querySelector('[data-id=\"1\"] .more').click()").await?;
    page.eval(PAINTED).await?;
    let shown = format!(
        "document.querySelectorAll('.text, .pinned, .danmaku span, .poll h2, .questions p, h1').values()
        .filter(({{ textContent }}) => textContent.includes({})).toArray().length",
        json!(EVIL)
    );
    assert!(page.eval(&shown).await?.as_u64().unwrap_or_default() >= 8, "it is all there");
    assert_eq!(page.eval("document.querySelectorAll('body img, body script').length").await?, 0);
    assert_eq!(page.eval("globalThis.caught ?? 0").await?, 0);
    Ok(())
}

#[tokio::test]
async fn it_speaks_chinese_to_who_asks_for_it() -> Result<()> {
    let room = RoomPage::new("?lang=zh").await?;
    room.all().await?;
    let page = &room.page;
    assert_eq!(text(&page.eval("document.documentElement.lang").await?), "zh-CN");
    assert_eq!(text(&page.eval("document.querySelector('.viewers').textContent").await?), "1,234 人在看");
    assert_eq!(text(&page.eval("document.querySelector('.write .send').textContent").await?), "发送");
    if let Some(folder) = std::env::var_os(SCREENSHOTS) {
        page.resize(390, 844).await?;
        page.screenshot(&Path::new(&folder).join("room-chinese.png")).await?;
    }
    assert!(page.log().is_empty(), "{:#?}", page.log());
    Ok(())
}
