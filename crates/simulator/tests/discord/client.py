"""An app on a client library that nobody here wrote. It says in lines of JSON what it saw."""

import asyncio
import json
import sys

import aiohttp
import discord
import yarl
from discord import app_commands

BASE, TOKEN = sys.argv[1], sys.argv[2]
discord.http.Route.BASE = BASE + "/api/v10"


def tell(what, **more):
    print(json.dumps({"what": what, **more}), flush=True)


class Form(discord.ui.Modal, title="Why?"):
    why = discord.ui.TextInput(label="Why", custom_id="why", max_length=20)
    how = discord.ui.TextInput(label="How", custom_id="how", required=False, style=discord.TextStyle.paragraph)

    async def on_submit(self, interaction):
        await interaction.response.send_message(f"{self.why.value}/{self.how.value}", ephemeral=True)


class Card(discord.ui.View):
    @discord.ui.button(label="Work", custom_id="work", style=discord.ButtonStyle.primary)
    async def work(self, interaction, _button):
        await interaction.response.defer()
        await interaction.edit_original_response(content=f"worked for {interaction.user.display_name}", view=self)

    @discord.ui.button(label="Form", custom_id="form")
    async def form(self, interaction, _button):
        await interaction.response.send_modal(Form())


class App(discord.Client):
    def __init__(self):
        super().__init__(intents=discord.Intents.all())
        self.tree = app_commands.CommandTree(self)

    async def setup_hook(self):
        @self.tree.command(name="ask", description="Ask something")
        async def ask(interaction: discord.Interaction, what: str, whom: discord.Member = None):
            await interaction.response.defer(thinking=True)
            await interaction.followup.send(f"{what} for {whom.display_name if whom else 'nobody'}")

        synced = await self.tree.sync()
        tell("synced", names=[command.name for command in synced])

    async def on_ready(self):
        guild = self.get_guild(int(sys.argv[3]))
        tell("ready", user=str(self.user.id), guilds=len(self.guilds), channels=sorted(it.name for it in guild.channels),
             members=sorted(it.display_name for it in guild.members))

    async def on_resumed(self):
        tell("resumed")

    async def on_message(self, message):
        if message.author == self.user or message.guild is None or not self.user.mentioned_in(message):
            return
        tell("mention", text=message.clean_content, nick=message.author.display_name)
        if "plain" in message.content:
            await message.channel.send("plain answer", nonce="n-1")
            return
        thread = await message.create_thread(name="help")
        await message.reply("on it", mention_author=False)
        async with thread.typing():
            embed = discord.Embed(title="Card", description="Choose").add_field(name="a", value="b")
            file = discord.File(__import__("io").BytesIO(b"content"), "note.txt")
            await thread.send("a card", embed=embed, view=Card(timeout=None), file=file)
        history = [it.content async for it in thread.history(limit=10)]
        tell("thread", id=str(thread.id), history=history)


async def main():
    async with aiohttp.ClientSession() as session:
        async with session.get(BASE + "/api/v10/gateway") as answer:
            url = (await answer.json())["url"]
    discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(url)
    async with App() as app:
        await app.start(TOKEN)


asyncio.run(main())
